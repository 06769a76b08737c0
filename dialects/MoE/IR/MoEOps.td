// All op families in reading order, for the generated reference.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
include "dialects/MoE/IR/WeightOps.td"
include "dialects/MoE/IR/GraphOps.td"
include "dialects/MoE/IR/SlotOps.td"
include "dialects/MoE/IR/ScheduledOps.td"
