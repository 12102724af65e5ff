"""disagree.py BUNDLE FOLDER RANKS RANK SETTING: ranks by torchrun's variables, RANK of them with another setting: an option such as
--seed=5, or NAME=VALUE in the environment. Prints exit codes and the last rank's message."""
import os
import socket
import subprocess
import sys

bundle, folder, count, odd, setting = sys.argv[1:]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
ranks = []
for rank in range(int(count)):
    environment = dict(os.environ, RANK=str(rank), WORLD_SIZE=count, LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=count,
                       MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    options = []
    if rank == int(odd) and setting.startswith("--"):
        options = [setting]
    elif rank == int(odd):
        environment.update([setting.split("=", 1)])
    ranks.append(subprocess.Popen(
        ["smelt", "train", bundle, "--data", folder + "/train.bin", "--validation-data", folder + "/validation.bin", "--run-dir",
         folder + "/disagree", *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
messages = [rank.communicate()[1] for rank in ranks]
print("codes", [rank.returncode for rank in ranks])
print(messages[-1])
