#!/bin/sh
# Interesting (exit 1) while the module still combines.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
! grep -q 'moe.combine' "$1"
