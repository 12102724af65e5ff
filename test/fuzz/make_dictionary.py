"""A libFuzzer dictionary of the spec's words, from models/schema.json: python3 make_dictionary.py models/schema.json > spec.dict"""

import json
import sys

words = set()


def collect(value):
    if isinstance(value, dict):
        words.update(value.get("properties", {}))
        words.update(word for word in value.get("enum", []) if isinstance(word, str))
        for part in value.values():
            collect(part)
    elif isinstance(value, list):
        for part in value:
            collect(part)


collect(json.load(open(sys.argv[1], encoding="utf-8")))
for word in sorted(words):
    print(json.dumps(json.dumps(word)))
