"""`maas.serve workers=N` whose supervisor has little patience with workers that reply to nothing."""

from maas import serve
from maas.serving.workers import broadcasts

broadcasts.HUNG_S, broadcasts.LOOK_S = 5.0, 0.5
serve.main()
