# SMELT_CUDA: on where the CUDA toolkit is found. Nothing links libcuda: it is opened at run time.
find_package(CUDAToolkit QUIET)
option(SMELT_CUDA "Build what needs the CUDA toolkit's headers" ${CUDAToolkit_FOUND})
