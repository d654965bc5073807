"""Text-to-image pipelines of a few hundred kilobytes, built from configs: what tests and experiments of them share.

They have the parts of Stable Diffusion 1.5 and its class, so that every line of augface and diffusers that it takes is
run: a CLIP text encoder with a vocabulary of its own, a U-Net with cross-attention, a scheduler, an autoencoder. The
last has no weights to learn: it hands pixels through, so that the U-Net works on pixels.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

SQUEEZE = 0.3
"""Pixels are handed through the middle of the autoencoder's tanh, where it is straight."""
TOKENS = 32
"""Those of the longest prompt; Stable Diffusion has 77."""


def tiny_pipeline(
    texts: Sequence[str],
    *,
    size: int = 32,
    widths: tuple[int, ...] = (8, 16, 32),
    text: int = 32,
    tokens: int = TOKENS,
    pooled: bool = False,
) -> Any:
    """A `StableDiffusionPipeline` that has learnt nothing, whose vocabulary is that of these texts.

    Args:
        texts: what it is to understand.
        size: height and width of its images.
        widths: channels of the U-Net at each resolution.
        text: the width of the text encoder.
        tokens: those of the longest prompt; prompts that fill them are learnt sooner than prompts that are padded.
        pooled: whether the text reaches all layers, pooled and added to the time, and not by cross-attention alone.
    """
    diffusers: Any = importlib.import_module("diffusers")
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = _tokenizer(texts, tokens)
    torch.manual_seed(0)
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=text,
            intermediate_size=2 * text,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    # Words differ more than the places that they stand at, and are told apart sooner than by what is usual.
    words: Any = encoder.get_input_embeddings()
    torch.nn.init.normal_(words.weight)
    below = len(widths) - 1
    unet = diffusers.UNet2DConditionModel(
        sample_size=size,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=widths,
        norm_num_groups=8,
        cross_attention_dim=text,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text" if pooled else None,
        addition_embed_type_num_heads=4,
        down_block_types=(*("DownBlock2D",) * below, "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", *("UpBlock2D",) * below),
    )
    scheduler = diffusers.DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
        steps_offset=1,
    )
    return diffusers.StableDiffusionPipeline(
        vae=_transparent(),
        text_encoder=encoder.eval(),  # type: ignore[no-untyped-call]
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )


def _tokenizer(texts: Sequence[str], tokens: int) -> Any:
    """CLIP's, with byte pairs that were learnt from these texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    learner = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["<|startoftext|>", "<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary.write_text(json.dumps(model["vocab"]))
        merges.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]) + "\n")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=tokens)


def _transparent() -> Any:
    """An autoencoder that hands pixels through: three of its four latent channels are red, green and blue."""
    diffusers: Any = importlib.import_module("diffusers")
    vae = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(4,),
        decoder_block_out_channels=(4,),
        num_encoder_blocks=(0,),
        num_decoder_blocks=(0,),
        latent_channels=4,
        scaling_factor=1 / SQUEEZE,
    )
    enter, squeeze = vae.encoder.layers[0], vae.encoder.layers[-1]
    stretch, leave = vae.decoder.layers[0], vae.decoder.layers[-1]
    with torch.no_grad():
        for layer in (enter, squeeze, stretch, leave):
            layer.weight.zero_()
            if layer.bias is not None:
                layer.bias.zero_()
        for channel in range(3):
            enter.weight[channel, channel, 1, 1] = 1
            squeeze.weight[channel, channel, 1, 1] = 2 * SQUEEZE  # 0..1 to -SQUEEZE..SQUEEZE
            squeeze.bias[channel] = -SQUEEZE
            stretch.weight[channel, channel, 1, 1] = 0.5 / SQUEEZE
            stretch.bias[channel] = 0.5
            leave.weight[channel, channel, 1, 1] = 1
    return vae.eval()
