# plait_add_library(NAME sources... DEPENDS tablegen targets LINK libraries)
#
# A static, position-independent, installed and exported library. Plait's
# libraries never link MLIR themselves: an executable links `MLIR LLVM` (the two
# shared libraries), a plugin gets them from the program that loads it.
function(plait_add_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:include>)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  install(TARGETS ${name} EXPORT PlaitTargets ARCHIVE DESTINATION lib)
endfunction()
