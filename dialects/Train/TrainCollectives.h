//===- TrainCollectives.h - Communication between ranks ---------*- C++ -*-===//
#ifndef SMELT_DIALECTS_TRAIN_TRAINCOLLECTIVES_H
#define SMELT_DIALECTS_TRAIN_TRAINCOLLECTIVES_H

#include "dialects/Train/TrainOps.h"

#define GET_OP_CLASSES
#include "dialects/Train/TrainCollectiveOps.h.inc"

#endif
