"""disagree.py BUNDLE FOLDER: four ranks by torchrun's variables; rank 2 has another seed. Prints exit codes and rank 1's message."""
import os
import socket
import subprocess
import sys

bundle, folder = sys.argv[1:]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
ranks = []
for rank in range(4):
    environment = dict(os.environ, RANK=str(rank), WORLD_SIZE="4", LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE="4",
                       MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    ranks.append(subprocess.Popen(
        ["smelt", "train", bundle, "--data", folder + "/train.bin", "--validation-data", folder + "/validation.bin", "--run-dir",
         folder + "/disagree", "--seed", "5" if rank == 2 else "1"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
messages = [rank.communicate()[1] for rank in ranks]
print("codes", [rank.returncode for rank in ranks])
print(messages[1])
