# Flags that hold for every target: warnings, ccache, sanitizers.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# lld links the tools in a fraction of the time GNU ld takes.
find_program(LLD_PROGRAM NAMES ld.lld-22 ld.lld PATHS /usr/lib/llvm-22/bin)
if(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(--ld-path=${LLD_PROGRAM})
endif()

# g++ 12 sees overlaps where a literal and a string are added (its bug 105651).
set(MOEC_WARNINGS -Wall -Wextra -Wno-unused-parameter $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
                  $<$<BOOL:${MOEC_WERROR}>:-Werror>)

set(MOEC_SANITIZE_OPTIONS "")
if(MOEC_SANITIZE)
  string(REPLACE ";" "," MOEC_SANITIZE_LIST "${MOEC_SANITIZE}")
  # vptr needs type information of LLVM classes, which are built apart.
  set(MOEC_SANITIZE_OPTIONS -fsanitize=${MOEC_SANITIZE_LIST} -fno-sanitize=vptr -fno-omit-frame-pointer
                            -fno-sanitize-recover=all)
  add_compile_options(${MOEC_SANITIZE_OPTIONS})
  add_link_options(${MOEC_SANITIZE_OPTIONS})
endif()

# A plain C++ library that knows neither MLIR nor LLVM.
function(add_moec_plain_library name)
  add_library(${name} STATIC ${ARGN})
  target_compile_options(${name} PRIVATE ${MOEC_WARNINGS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  # The fuzzer sees which branches its inputs reach.
  if(MOEC_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()
