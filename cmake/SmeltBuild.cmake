# Flags and tools that every target shares.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Same sources in another folder (a second worktree, CI's fresh clone) hit the same entries.
  set(SMELT_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${SMELT_LAUNCHER})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SMELT_LAUNCHER})
endif()

find_program(LLD_PROGRAM NAMES ld.lld-22 ld.lld)
if(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=${LLD_PROGRAM})
endif()

add_compile_options(-Wall -Wextra -Wno-unused-parameter -fno-semantic-interposition)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()
if(SMELT_SANITIZE)
  add_compile_options(-fsanitize=${SMELT_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SMELT_SANITIZE})
endif()

# GCC's runtime-only build does without.
set(SMELT_RUNTIME_PCH OFF)
if(SMELT_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(SMELT_RUNTIME_PCH ON)
endif()

# smelt_unoptimised(TARGET): for code in which nothing takes time but compiling it (commands with CLI11, tests with gtest).
function(smelt_unoptimised name)
  target_compile_options(${name} PRIVATE -O0 -fPIC) # Executables too: their precompiled header is made once, with -fPIC.
  if(SMELT_RUNTIME_PCH)
    target_precompile_headers(${name} REUSE_FROM SmeltProgramHeaders)
  endif()
endfunction()

# smelt_add_library(NAME sources… [UNOPTIMISED] [LINK libs…]): a static library of runtime code (no MLIR).
function(smelt_add_library name)
  cmake_parse_arguments(ARG "UNOPTIMISED" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_UNOPTIMISED)
    smelt_unoptimised(${name})
  elseif(SMELT_RUNTIME_PCH)
    target_precompile_headers(${name} REUSE_FROM SmeltRuntimeHeaders)
  endif()
endfunction()
