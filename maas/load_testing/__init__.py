"""Load testing over HTTP: requests are due at times of their own, however slow the replies are (an open loop)."""
