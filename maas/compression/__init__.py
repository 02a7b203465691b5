"""A budget and a space of passes; what comes out is measured, and refused unless it is smaller, fast and good enough."""
