//===- ExecCollectives.h - Communication between ranks ----------*- C++ -*-===//
#ifndef SMELT_DIALECTS_EXEC_EXECCOLLECTIVES_H
#define SMELT_DIALECTS_EXEC_EXECCOLLECTIVES_H

#include "dialects/Exec/ExecOps.h"

#define GET_OP_CLASSES
#include "dialects/Exec/ExecCollectiveOps.h.inc"

#endif
