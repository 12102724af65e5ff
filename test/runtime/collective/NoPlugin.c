// A library that is no plugin of Smelt's.
int nothing(void) { return 0; }
