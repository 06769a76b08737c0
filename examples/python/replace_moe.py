"""A transformers model whose MoE blocks run compiled: `replace_moe.py MODEL ARTIFACT`, MODEL being a folder.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import sys

import moec.torch
import torch
import transformers

model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
artifact = moec.load(moec.compile(sys.argv[1], sys.argv[2]))
print("replaced:", *moec.torch.replace_moe(model, artifact))
prompt = torch.tensor([list(b"import os\nimport sys\n\ndef main(")])
print(bytes(model.generate(prompt, max_new_tokens=59, do_sample=False)[0].tolist()).decode())
