"""How samples/h200 was made: planned here (`prepare`), carried out on a machine with the GPU (`samples/device`), brought back.

    python -m benchmarks.gpu_sample.prepare samples/h200 h200 FOLDER     # then FOLDER goes there, with wheels in FOLDER/whl
    bash FOLDER/code/run.sh 560 OUT/sample.tar                           # on that machine
    python -m benchmarks.gpu_sample.bring_back samples/h200 PLANS...     # the unpacked tars

docs/gpu-sample.md says what is needed there.
"""
