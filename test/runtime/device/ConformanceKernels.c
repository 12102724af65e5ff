// Kernels of the device conformance suite.
void add_one(void *const *b) { *(float *)b[0] += 1; }
void multiply(void *const *b) { *(float *)b[2] = *(float *)b[0] * *(float *)b[1]; }

// What a real module gets from its OpenMP library.
static int threads;
void omp_set_num_threads(int count) { threads = count; }
void read_threads(void *const *b) { *(float *)b[0] = (float)threads; }
