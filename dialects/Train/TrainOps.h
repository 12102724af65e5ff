//===- TrainOps.h - Operations of the train dialect -*- C++ -*-===//
#ifndef SMELT_DIALECTS_TRAIN_TRAINOPS_H
#define SMELT_DIALECTS_TRAIN_TRAINOPS_H

#include "dialects/LM/LMOps.h"

#include "dialects/Train/TrainDialect.h.inc"
#include "dialects/Train/TrainEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Train/TrainAttributes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Train/TrainOps.h.inc"

#endif
