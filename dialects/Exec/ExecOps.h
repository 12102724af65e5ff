//===- ExecOps.h - Operations of the exec dialect -*- C++ -*-===//
#ifndef SMELT_DIALECTS_EXEC_EXECOPS_H
#define SMELT_DIALECTS_EXEC_EXECOPS_H

#include "dialects/LM/LMOps.h"

#include "dialects/Exec/ExecDialect.h.inc"
#include "dialects/Exec/ExecEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Exec/ExecAttributes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Exec/ExecOps.h.inc"

#endif
