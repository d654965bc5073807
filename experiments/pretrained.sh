#!/bin/sh
# Do faces of a pretrained diffusion model help, where those of a generator that saw only your faces do not?
#
#     sh experiments/pretrained.sh celeba:/data/celeba /models/sd15 runs/pretrained
#
# Needs a GPU with 12 GB and Stable Diffusion 1.5 as safetensors in a folder:
#     pip install 'augface[diffusers]'
#     hf download stable-diffusion-v1-5/stable-diffusion-v1-5 --local-dir /models/sd15
#
# For 50 and 200 positives, two attributes and five seeds each: composites (real faces alone), Stable Diffusion as it is,
# its edits, and LoRA for each group. ATTRIBUTES, POSITIVES, SEEDS, SIZE and BUDGET may be set in the environment.
#
# What to expect has not been measured on a GPU. Arithmetic says: at 30 steps a face of 512 pixels takes a second or two
# in float16, so that 1,000 draws are about half an hour; 60 of the 80 runs draw from the model, so all are one to three
# days. Memory: 3 GB for the model and about 1 GB for each face of a batch, of which there are 8 (halved where that is
# too much). Disk: 100 MB a run. Begin with SEEDS=0 POSITIVES=50 ATTRIBUTES=Eyeglasses, which is four runs.
#
# Each run is in a folder of its own below the third argument, with results.json and report.html; the same command goes
# on after an interruption. The last line compares them.
set -eu
data=${1:?the data set, such as celeba:/data/celeba}
model=${2:?the folder of Stable Diffusion 1.5}
out=${3:?the folder for the runs}

for attribute in ${ATTRIBUTES:-Eyeglasses Bald}; do
    for positives in ${POSITIVES:-50 200}; do
        for seed in ${SEEDS:-0 1 2 3 4}; do
            for generator in composite diffusers diffusers-edit diffusers-lora; do
                set --
                [ "$generator" = composite ] || set -- --set "path=$model" --set dtype=float16 --set steps=30
                [ "$generator" != diffusers-lora ] || set -- "$@" --set lora=per-group
                python "$(dirname "$0")/pretrained.py" "$data" --attr "$attribute" --positives "$positives" \
                    --seed "$seed" --size "${SIZE:-64}" --budget "${BUDGET:-20m}" --generator "$generator" "$@" \
                    --out "$out/$attribute-$positives-$seed-$generator"
            done
        done
    done
done
augface compare "$out"/*-*-*-* --out "$out/comparison"
