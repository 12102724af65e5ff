"""list_rows.py CHECKPOINT TENSOR: which file has which rows of the tensor."""
import json
import os
import struct
import sys

folder, wanted = sys.argv[1:]
for name in sorted(os.listdir(folder)):
    if name.endswith(".safetensors"):
        data = open(os.path.join(folder, name), "rb").read()
        (length,) = struct.unpack("<Q", data[:8])
        for tensor in json.loads(data[8 : 8 + length]):
            if tensor.split("[")[0] == wanted:
                print(name, tensor)
