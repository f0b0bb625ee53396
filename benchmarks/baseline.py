"""Has a change made something slower?  Measures the ratios of compare_ort.py and compare_torch_step.py again and compares them
with those of a file.

    baseline.py BUILD MODELS [--record] [--only WORD] [--threads 1] [--rounds 3] [--seconds 4] [--file baseline.json]

BUILD holds run_on_request and step_on_request, MODELS the models.  A row is measured in several rounds, each a process of
its own that runs onnxtune and the peer in turn; its ratio is the median of the rounds' (ours / theirs, of the minima), its
noise half of their range.  A row is flagged when its ratio moved by more than twice the noise of both measurements
together and by more than 3 %.  --record writes the file (rows that were not measured stay).  The exit code is 1 when a row got
slower beyond the noise.

Ratios belong to a machine and to versions of the peers: the file says which, and a run elsewhere says that it is elsewhere.
"""
import argparse
import json
import pathlib
import statistics
import sys

import compare_ort
import compare_torch_step

LEAST = 0.03


def machine():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def peers():
    return {"onnxruntime": compare_ort.ort.__version__, "torch": compare_torch_step.torch.__version__}


def cases(threads):
    """Name, and a function that measures one round: ours and theirs, in milliseconds."""
    for name, batches in compare_ort.CASES:
        for batch in batches:
            for t in threads:
                yield f"infer {name} batch {batch} threads {t}", (compare_ort.compare, "run_on_request", name, batch, t)
    for name, side in compare_torch_step.CASES:
        for mode in ("all", "head"):
            for t in threads:
                key = f"step {name} {mode} batch 16 threads {t}"
                yield key, (compare_torch_step.compare, "step_on_request", name, 16, t, mode, side)


def measure(args, case):
    compare, program, name, batch, threads, *rest = case
    path = args.models / f"{name}.onnx"
    ratios = []
    for _ in range(args.rounds):
        mine, theirs = compare(str(args.build / program), path, batch, threads, *rest, args.seconds)[:2]
        ratios.append(min(mine) / min(theirs))
    return {"ratio": round(statistics.median(ratios), 4), "noise": round((max(ratios) - min(ratios)) / 2, 4)}


def verdict(old, new):
    if old is None:
        return "new"
    change, bound = new["ratio"] - old["ratio"], max(2 * (old["noise"] + new["noise"]), LEAST * old["ratio"])
    return "SLOWER" if change > bound else "faster" if change < -bound else "same"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of a round, at least")
    parser.add_argument("--file", type=pathlib.Path, default=pathlib.Path(__file__).with_name("baseline.json"))
    args = parser.parse_args()
    stored = json.loads(args.file.read_text()) if args.file.exists() else {"rows": {}}
    here = {"machine": machine(), "peers": peers()}
    for key in here:
        if not args.record and stored.get(key, here[key]) != here[key]:
            print(f"note: the file is of another {key}: {stored[key]}, here {here[key]}")
    slower = 0
    print(f"{'row':44} stored  noise |    now  noise | change")
    for name, case in cases([int(t) for t in args.threads.split(",")]):
        if args.only not in name:
            continue
        old, new = stored["rows"].get(name), measure(args, case)
        word = verdict(old, new)
        slower += word == "SLOWER"
        before = f"{old['ratio']:6.3f} {old['noise']:6.3f}" if old else f"{'-':>6} {'-':>6}"
        change = f"{100 * (new['ratio'] / old['ratio'] - 1):+5.1f} %" if old else f"{'-':>7}"
        print(f"{name:44} {before} | {new['ratio']:6.3f} {new['noise']:6.3f} | {change} {word}", flush=True)
        if args.record:
            stored["rows"][name] = new
            args.file.write_text(json.dumps({**here, "rows": dict(sorted(stored["rows"].items()))}, indent=1) + "\n")
    sys.exit(1 if slower and not args.record else 0)


if __name__ == "__main__":
    main()
