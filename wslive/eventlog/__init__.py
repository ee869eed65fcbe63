"""Where events are kept. `base` states the guarantees; each engine keeps them, and one test suite checks them all."""
