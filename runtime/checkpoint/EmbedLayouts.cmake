# Writes OUTPUT: every models/layouts/*.json as text, by name.
#   cmake -DFOLDER=models/layouts -DOUTPUT=BuiltInLayouts.inc -P EmbedLayouts.cmake
file(GLOB files ${FOLDER}/*.json)
list(SORT files)
set(entries "")
foreach(file ${files})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"layout(${text})layout\"},\n")
endforeach()
file(WRITE ${OUTPUT} "constexpr BuiltInLayout kBuiltInLayouts[] = {\n${entries}};\n")
