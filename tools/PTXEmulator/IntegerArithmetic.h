// Integer forms of the instructions that floats have too.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_INTEGERARITHMETIC_H
#define MOEC_TOOLS_PTXEMULATOR_INTEGERARITHMETIC_H

#include "tools/PTXEmulator/Decoder.h"

namespace moec::ptx {

void buildIntegerAdd(Decoder &decoder);
void buildIntegerSub(Decoder &decoder);
/// mul and mad with .lo, .hi or .wide.
void buildIntegerMul(Decoder &decoder);
void buildIntegerMad(Decoder &decoder);
void buildIntegerDiv(Decoder &decoder);
void buildIntegerMin(Decoder &decoder);
void buildIntegerMax(Decoder &decoder);
void buildIntegerAbs(Decoder &decoder);
void buildIntegerNeg(Decoder &decoder);

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_INTEGERARITHMETIC_H
