// Holds the targets that own the precompiled headers; see Headers.h and Programs.h.
