# Debian's LLVM/MLIR 22, linked dynamically (libMLIR.so, libLLVM.so).
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
set(MLIR_LINK_MLIR_DYLIB ON) # MLIRConfig.cmake of Debian does not export it.
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(LLVM_DEFINITIONS_LIST NATIVE_COMMAND ${LLVM_DEFINITIONS})

# One precompiled header serves every MLIR target.
function(smelt_mlir_target name)
  target_include_directories(${name} SYSTEM PUBLIC ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_definitions(${name} PRIVATE ${LLVM_DEFINITIONS_LIST})
  target_compile_options(${name} PRIVATE -fno-exceptions -Wno-unused-function
    -fPIC) # Executables too (not -fPIE): the precompiled header is made once, with -fPIC.
  if(SMELT_PCH AND NOT name STREQUAL "SmeltMLIRHeaders")
    target_precompile_headers(${name} REUSE_FROM SmeltMLIRHeaders)
  endif()
endfunction()

# smelt_add_mlir_library(NAME sources… [LINK libs…] [DEPENDS targets…]): compiler code; the MLIR it needs comes from libMLIR.so.
function(smelt_add_mlir_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  smelt_mlir_target(${name})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
endfunction()

# smelt_add_mlir_executable(NAME sources… [LINK libs…])
function(smelt_add_mlir_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  smelt_mlir_target(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} MLIR LLVM)
endfunction()

# smelt_tablegen(TARGET file.td -gen-x out.inc [-gen-y out2.inc …]): generated files of one .td in this folder.
function(smelt_tablegen target td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest out)
    set(flags "")
    while(rest)
      list(GET rest 0 head)
      if(NOT head MATCHES "^-")
        break()
      endif()
      list(POP_FRONT rest head)
      list(APPEND flags ${head})
    endwhile()
    mlir_tablegen(${out} ${flags} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
  endwhile()
  add_public_tablegen_target(${target})
endfunction()
