// Holds the target that owns the precompiled header; see Headers.h.
