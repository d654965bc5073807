"""Pretrained pipelines of diffusers: prompts, edits and LoRA, on tiny ones that are built here of configs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from augface.checked_arrays import about
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, UnknownNameError, UsageError, require
from augface.generators import GENERATORS, create_generator, load_generator
from augface.generators import _pretrained as pretrained_module
from augface.generators._lora import LoraRecipe, LoraTraining
from augface.generators._pipelines import INDEX, PipelineConfig, licence_of, use_of
from augface.generators._prompts import SHIPPED, Prompts
from augface.generators.base import CHUNK, Generator, check_generator
from augface.training.budget import Budget

needs_packages = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("diffusers", "transformers", "peft")),
    reason="diffusers, transformers or peft is not installed",
)
SIZE = 8
QUICK: dict[str, Any] = {"steps": 1, "batch": 3}


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    data = load_toyfaces(60, SIZE)
    assert data.attributes["Male"].nunique() == 2
    return data


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text-to-image pipeline that has learnt nothing."""
    for name in ("diffusers", "transformers", "peft"):
        pytest.importorskip(name)
    from tiny_pipelines import tiny_pipeline

    shipped = Prompts.read(SHIPPED.read_bytes(), str(SHIPPED))
    texts = shipped.prompts(load_toyfaces(30, 8).attributes)
    folder = tmp_path_factory.mktemp("pipelines") / "tiny"
    tiny_pipeline(texts, size=SIZE, widths=(8, 8), text=8).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: openrail\n---\n# A tiny one\n")
    return folder


@pytest.fixture
def path(built: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(built, tmp_path / "tiny"))


def change_index(path: Path, **values: Any) -> None:
    content = json.loads((path / INDEX).read_text())
    (path / INDEX).write_text(json.dumps(content | values))


def fitted(name: str, faces: FaceDataset, path: Path, **settings: Any) -> Generator:
    generator = create_generator(name, path=str(path), **{**QUICK, **settings})
    generator.fit(faces, budget="8")
    return generator


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images)


def prompts(text: str) -> Prompts:
    return Prompts.read(text.encode(), "mine.toml")


class TestPrompts:
    LABELS = pd.DataFrame({"Male": [True, False], "Eyeglasses": [False, pd.NA], "Bald": [True, False]}, dtype="boolean")

    def test_words_follow_the_labels_and_what_is_requested_comes_first(self) -> None:
        shipped = Prompts.read(SHIPPED.read_bytes(), str(SHIPPED))
        said = shipped.prompts(self.LABELS, ["Eyeglasses"])
        assert said[0] == "a close-up photo of one face, without glasses, a man, bald head"
        assert said[1] == "a close-up photo of one face, a woman"

    def test_what_is_to_be_absent_is_named_in_the_negative_prompt(self) -> None:
        mine = prompts('negative = "blurred"\n[words]\nEyeglasses = ["glasses", ""]')
        assert mine.negatives(self.LABELS, ["Eyeglasses"]) == ["glasses, blurred", "blurred"]

    def test_all_attributes_of_celeba_have_words(self) -> None:
        shipped = Prompts.read(SHIPPED.read_bytes(), str(SHIPPED))
        assert len(shipped.words) == 40
        assert set(load_toyfaces(10, 8).attributes) <= set(shipped.words)
        assert all(any(said) for said in shipped.words.values())

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("template = [", "mine.toml is not TOML"),
            ('template = "a face"', r"template is a text with \{words\} in it once"),
            ("colour = 1", "'colour' is none of template"),
            ('[words]\nMale = "a man"', "Male takes two texts"),
            ('[classes]\n"Male=1" = "first"', r"\[classes\] is a table of subgroups and numbers"),
        ],
    )
    def test_other_files_are_refused(self, text: str, said: str) -> None:
        with pytest.raises(DataError, match=said):
            prompts(text)

    def test_each_row_has_the_number_of_its_class(self) -> None:
        mine = prompts('[classes]\n"Male=1,Eyeglasses=0" = 3\n"Male=0" = 7')
        assert mine.numbers(self.LABELS) == [3, 7]
        with pytest.raises(UsageError, match="No class is given for faces with not Male"):
            prompts('[classes]\n"Male=1" = 3').numbers(self.LABELS)


@needs_packages
class TestTextToImage:
    def test_the_contract_holds(self, faces: FaceDataset, built: Path) -> None:
        check_generator(GENERATORS.get("diffusers"), faces, {"path": str(built), **QUICK})

    def test_the_prompt_matters_and_the_noise_is_the_faces_own(self, faces: FaceDataset, built: Path) -> None:
        generator = fitted("diffusers", faces, built, guidance=5.0)
        assert generator.conditionable == set(faces.attributes)
        with_it, without = (pixels(generator.sample(4, where={"Male": value}, seed=1)) for value in (True, False))
        assert not np.array_equal(with_it, without)
        assert generator.base == {
            "name": "tiny",
            "pipeline": "StableDiffusionPipeline",
            "sha256": generator.config.model_dump()["sha256"],
            "licence": "openrail",
        }

    def test_a_face_does_not_depend_on_the_batch(self, faces: FaceDataset, built: Path) -> None:
        four, two = (pixels(fitted("diffusers", faces, built, batch=batch).sample(5)) for batch in (3, 2))
        assert np.abs(four.astype(int) - two).max() <= 1

    def test_of_a_large_pipeline_the_path_alone_is_kept(
        self, faces: FaceDataset, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pretrained_module, "KEPT_BYTES", 1000)
        generator = fitted("diffusers", faces, path)
        generator.save(tmp_path / "saved")
        assert (tmp_path / "saved" / "weights.safetensors").stat().st_size < 10_000
        assert np.array_equal(pixels(load_generator(tmp_path / "saved").sample(3)), pixels(generator.sample(3)))
        (path / "unet" / "config.json").write_text("{}")
        with pytest.raises(DataError, match="has changed: its SHA-256 is"):
            load_generator(tmp_path / "saved")

    def test_own_prompts_are_kept_and_checked(self, faces: FaceDataset, built: Path, tmp_path: Path) -> None:
        mine = tmp_path / "mine.toml"
        mine.write_text('[words]\nMale = ["a man", "a woman"]\n')
        generator = fitted("diffusers", faces, built, prompts=str(mine))
        assert generator.conditionable == {"Male"}
        generator.save(tmp_path / "saved")
        mine.unlink()
        assert np.array_equal(pixels(load_generator(tmp_path / "saved").sample(3)), pixels(generator.sample(3)))
        mine.write_text('[words]\nMael = ["a man", "a woman"]\n')
        with pytest.raises(UnknownNameError, match=r"no attribute named 'Mael'\. Did you mean 'Male'"):
            fitted("diffusers", faces, built, prompts=str(mine))
        with pytest.raises(DataError, match=r"There is no file .*none\.toml of prompts"):
            create_generator("diffusers", path=str(built), prompts=str(tmp_path / "none.toml"))

    def test_an_interruption_loses_one_chunk_at_most(
        self, faces: FaceDataset, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pretrained_module, "LONG", 0.0)
        generator: Any = fitted("diffusers", faces, built, batch=256)
        pipeline = generator._pretrained.pipeline
        make, calls = pipeline.images, 0

        def interrupted(seeds: Any, **given: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return make(seeds, **given)

        monkeypatch.setattr(pipeline, "images", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generator.sample(CHUNK + 1, seed=9)
        again = pixels(generator.sample(CHUNK + 1, seed=9))
        assert calls == 3  # the second chunk alone
        assert np.array_equal(pixels(generator.sample(CHUNK + 1, seed=9)), again)
        assert calls == 3
        generator.sample(1, seed=10)
        assert calls == 4

    def test_blanked_faces_are_counted(
        self, faces: FaceDataset, built: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        generator: Any = fitted("diffusers", faces, built)
        pipeline = generator._pretrained.pipeline
        make = pipeline.images
        monkeypatch.setattr(
            pipeline, "images", lambda *seeds, **given: (make(*seeds, **given)[0], [True] + [False] * 3)
        )
        generator.sample(3)
        assert "The safety checker of" in caplog.text
        assert "blanked 1 of 3 faces" in caplog.text


@needs_packages
class TestBadInput:
    @pytest.mark.parametrize("part", ["unet", "text_encoder", "tokenizer", "scheduler"])
    def test_a_missing_part(self, part: str, faces: FaceDataset, path: Path) -> None:
        shutil.rmtree(path / part)
        with pytest.raises(DataError, match=f"its {part} is missing: there is no folder {part}"):
            fitted("diffusers", faces, path)

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (["diffusers", "NoSuchScheduler"], "its scheduler is a NoSuchScheduler, which diffusers .* does not have"),
            (["transformers", "AutoModel"], "its scheduler is of the class AutoModel"),
            (["transformers", "pipeline"], "its scheduler is a pipeline, which transformers .* does not have"),
            (["diffusers", "DDPMPipeline"], "its scheduler is of the class DDPMPipeline, which may stand for any"),
            (["os", "system"], "its scheduler is of os, and not of diffusers itself or transformers"),
            (["diffusers", "CLIPTextModel"], "its scheduler is a CLIPTextModel, which diffusers .* does not have"),
        ],
    )
    def test_parts_of_other_classes(self, value: list[str], said: str, faces: FaceDataset, path: Path) -> None:
        change_index(path, scheduler=value)
        with pytest.raises(DataError, match=said):
            fitted("diffusers", faces, path)

    def test_code_of_its_own(self, faces: FaceDataset, path: Path) -> None:
        config = path / "text_encoder" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "mine.Mine"}}))
        (path / "unet" / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/something"}')
        assert not any("adapter" in name for name in PipelineConfig.files(path))
        with pytest.raises(DataError, match=r"text_encoder/config\.json names code of its own"):
            fitted("diffusers", faces, path)

    def test_a_scheduler_that_does_not_fit(self, faces: FaceDataset, built: Path) -> None:
        with pytest.raises(UsageError, match=r"FlowMatchLCMScheduler cannot take the place of DDIM.*can: .*DDPM"):
            fitted("diffusers", faces, built, scheduler="FlowMatchLCMScheduler")
        assert len(fitted("diffusers", faces, built, scheduler="EulerDiscreteScheduler").sample(2)) == 2

    def test_weights_that_are_pickles(self, path: Path) -> None:
        (path / "text_encoder" / "model.safetensors").rename(path / "text_encoder" / "pytorch_model.bin")
        with pytest.raises(DataError, match=r"text_encoder are a pickle \(pytorch_model\.bin\)"):
            create_generator("diffusers", path=str(path))

    def test_variants_of_weights_are_read_where_there_are_no_others(self, faces: FaceDataset, path: Path) -> None:
        weights = path / "unet" / "diffusion_pytorch_model.safetensors"
        shutil.copy(weights, path / "unet" / "diffusion_pytorch_model.fp16.safetensors")
        assert not any("fp16" in name for name in PipelineConfig.files(path))
        weights.unlink()
        assert len(fitted("diffusers", faces, path).sample(1)) == 1

    def test_pixels_that_are_no_numbers(self, faces: FaceDataset, path: Path) -> None:
        from safetensors.numpy import save_file

        weights = path / "unet" / "diffusion_pytorch_model.safetensors"
        arrays = load_file(weights)
        arrays["conv_out.bias"][:] = np.nan
        save_file(arrays, weights, metadata={"format": "pt"})
        with pytest.raises(DataError, match=r"pixels that are not numbers \(NaN or infinite\)\.$"):
            fitted("diffusers", faces, path)

    def test_too_little_memory_halves_the_batch(
        self, faces: FaceDataset, built: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        generator: Any = fitted("diffusers", faces, built)
        pipeline = generator._pretrained.pipeline
        whole, room = pixels(generator.sample(5)), 1
        call = pipeline._called

        def limited(seeds: Any, given: Any) -> Any:
            if len(seeds) > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return call(seeds, given)

        monkeypatch.setattr(pipeline, "_called", limited)
        assert np.abs(pixels(generator.sample(5)).astype(int) - whole).max() <= 1
        assert "too little memory: 1 faces are made at once from now on" in caplog.text
        room = 0
        with pytest.raises(UsageError, match="does not fit into the memory of the GPU, even for one face"):
            generator.sample(5)

    def test_settings_that_the_pipeline_or_the_machine_lack(self, faces: FaceDataset, built: Path) -> None:
        if not torch.cuda.is_available():
            with pytest.raises(UsageError, match="offload spares the memory of a GPU, and there is none"):
                fitted("diffusers", faces, built, offload=True)
        for strength, said in ((2, "Setting strength of the diffusers-edit generator"), (0.9, "1 steps is no step")):
            with pytest.raises(UsageError, match=said):
                fitted("diffusers-edit", faces, built, strength=strength, steps=1)

    def test_what_edits_faces_makes_none_of_prompts(self, faces: FaceDataset, path: Path) -> None:
        change_index(path, _class_name="StableDiffusionInpaintPipeline")
        with pytest.raises(UsageError, match="StableDiffusionInpaintPipeline needs more than noise or a prompt"):
            fitted("diffusers", faces, path)

    def test_classes_need_numbers(self) -> None:
        from diffusers import DiTPipeline

        assert use_of(DiTPipeline) == ("classes", "")


def test_the_licence_is_that_of_the_model_card(tmp_path: Path) -> None:
    assert licence_of(tmp_path) == "not stated"
    (tmp_path / "README.md").write_text("# no front matter\nlicense: mit\n")
    assert licence_of(tmp_path) == "not stated"
    (tmp_path / "README.md").write_text('---\ntags: [a]\nlicense: "mit"\n---\n')
    assert licence_of(tmp_path) == "mit"


@needs_packages
class TestEdits:
    @pytest.mark.parametrize("edit", ["inpainting", "image-to-image"])
    def test_the_contract_holds(self, edit: str, faces: FaceDataset, built: Path) -> None:
        check_generator(
            GENERATORS.get("diffusers-edit"), faces, {"path": str(built), "edit": edit, **QUICK, "steps": 3}
        )

    def test_the_rest_of_the_face_is_left_alone(self, faces: FaceDataset, built: Path) -> None:
        generator: Any = fitted("diffusers-edit", faces, built, balance="Wearing_Hat", steps=4)
        edited = generator.sample(4, where={"Wearing_Hat": True})
        hosts = edited.factors["host"].to_numpy()
        assert not faces.attributes["Wearing_Hat"].iloc[hosts].any()
        outside = generator._part("Wearing_Hat") == 0
        changed = pixels(edited) != pixels(faces)[hosts]
        assert outside.any()
        assert not changed[:, outside].any()
        assert changed.any()

    def test_strength_says_how_much_is_changed(self, faces: FaceDataset, built: Path) -> None:
        distances = []
        for strength in (0.3, 1.0):
            generator = fitted("diffusers-edit", faces, built, edit="image-to-image", strength=strength, steps=5)
            edited = generator.sample(4, where={"Male": True})
            assert edited.factors is not None
            hosts = pixels(faces)[edited.factors["host"].to_numpy()]
            distances.append(np.abs(pixels(edited).astype(int) - hosts).mean())
        assert distances[0] < distances[1]

    def test_a_class_without_examples_can_be_made_of_whole_faces_alone(self, faces: FaceDataset, built: Path) -> None:
        bare = faces.select(faces.matching({"Wearing_Hat": False}))
        where = {"Wearing_Hat": True}
        whole = fitted("diffusers-edit", bare, built, edit="image-to-image", steps=2)
        assert len(whole.sample(2, where=where)) == 2
        with pytest.raises(UsageError, match="No training face has Wearing_Hat=1"):
            fitted("diffusers-edit", bare, built, steps=2).sample(2, where=where)


LORA: dict[str, Any] = {"train_batch": 2, "rank": 2, "rate": 0.01}


def started(faces: FaceDataset, built: Path, recipe: LoraRecipe) -> LoraTraining:
    """A training of one adapter that has done nothing yet."""
    config = create_generator("diffusers-lora", path=str(built), **QUICK).config
    assert isinstance(config, PipelineConfig)
    pretrained = pretrained_module.Pretrained.read(config, SIZE, "diffusers-lora")
    texts = pretrained.prompts.prompts(faces.attributes)
    rows = [np.arange(len(faces))]
    return LoraTraining(pretrained.pipeline, "all", recipe, pixels(faces), texts, rows, 3)


@needs_packages
class TestLora:
    def test_the_contract_holds(self, faces: FaceDataset, built: Path) -> None:
        check_generator(GENERATORS.get("diffusers-lora"), faces, {"path": str(built), **QUICK, **LORA})

    def test_each_group_has_an_adapter_of_its_own(self, faces: FaceDataset, built: Path, tmp_path: Path) -> None:
        generator = create_generator(
            "diffusers-lora", path=str(built), **QUICK, **LORA, lora="per-group", balance="Male"
        )
        generator.fit(faces, budget="16", run_dir=tmp_path)
        first, second = (tmp_path / "lora" / f"Male{value}.safetensors" for value in (1, 0))
        texts = about(first.read_bytes())
        assert texts["base_sha256"] == generator.base["sha256"]
        assert (texts["base_licence"], texts["group"]) == ("openrail", "Male=1")
        one, other = load_file(first), load_file(second)
        assert any(not np.array_equal(one[name], other[name]) for name in one)
        faces_of = pixels(generator.sample(6, seed=2))
        generator.save(tmp_path / "saved")
        assert np.array_equal(pixels(load_generator(tmp_path / "saved").sample(6, seed=2)), faces_of)
        plain = fitted("diffusers", faces, built, balance="Male")
        assert not np.array_equal(pixels(plain.sample(6, seed=2)), faces_of)

    def test_diffusers_reads_what_is_written(self, faces: FaceDataset, built: Path, tmp_path: Path) -> None:
        generator = create_generator("diffusers-lora", path=str(built), **QUICK, **LORA)
        generator.fit(faces, budget="8", run_dir=tmp_path)
        pipe = pytest.importorskip("diffusers").StableDiffusionPipeline.from_pretrained(built)
        pipe.load_lora_weights(tmp_path / "lora", weight_name="all.safetensors")
        written = load_file(tmp_path / "lora" / "all.safetensors")
        loaded = {name for name, _ in pipe.unet.named_parameters() if "lora_" in name}
        assert len(loaded) == len(written) > 0

    def test_a_training_that_was_interrupted_ends_with_the_same_weights(
        self, faces: FaceDataset, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from augface.generators import _lora

        monkeypatch.setattr(_lora, "CHECKPOINT_SECONDS", 0.0)
        made = [create_generator("diffusers-lora", path=str(built), **QUICK, **LORA) for _ in range(2)]
        made[0].fit(faces, budget="12", run_dir=tmp_path / "whole", seed=4)

        def stop(training: Any, step: Callable[[Any], float] = _lora.LoraTraining._step) -> float:
            if training.steps == 3:
                raise KeyboardInterrupt
            return step(training)

        with monkeypatch.context() as patch:
            patch.setattr(_lora.LoraTraining, "_step", stop)
            with pytest.raises(KeyboardInterrupt):
                made[1].fit(faces, budget="12", run_dir=tmp_path / "parts", seed=4)
        made[1].fit(faces, budget="12", run_dir=tmp_path / "parts", seed=4, resume=True)
        assert made[0].fingerprint == made[1].fingerprint
        log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
        assert log[-1]["images"] == 12
        with pytest.raises(UsageError, match="is of other settings"):
            made[1].fit(faces, budget="20", run_dir=tmp_path / "parts", seed=5, resume=True)

    def test_parts_of_a_step_and_recomputed_maps_give_the_gradients_of_the_whole(
        self, faces: FaceDataset, built: Path
    ) -> None:
        training = started(faces, built, LoraRecipe(2, 1e-2, 5, ("to_q", "to_v"), prior=0.5))

        def gradients(*parts: tuple[int, int]) -> torch.Tensor:
            total: list[torch.Tensor] = []
            for part in parts:
                training._optimiser.zero_grad()
                training._gradients(*part)
                total.append(torch.cat([require(each.grad).flatten() for each in training._weights.values()]))
            return torch.stack(total).mean(dim=0)

        training._unet.train()
        whole = gradients((0, 1))
        assert whole.abs().max() > 0
        torch.testing.assert_close(gradients((0, 2), (1, 2)), whole)
        torch.testing.assert_close(gradients((0, 3), (1, 3), (2, 3)), whole)
        training._unet.enable_gradient_checkpointing()
        torch.testing.assert_close(gradients((0, 1)), whole)
        training._unet.disable_gradient_checkpointing()

    def test_with_a_prior_other_prompts_stay_what_they_were(self, faces: FaceDataset, built: Path) -> None:
        moved = {}
        for prior in (0.0, 300.0):
            training = started(faces, built, LoraRecipe(2, 1e-2, 4, ("to_q", "to_k", "to_v", "to_out.0"), prior))
            shape = (2, training._unet.config.in_channels, SIZE, SIZE)
            noisy, times = torch.randn(shape, generator=torch.Generator().manual_seed(0)), torch.tensor([200, 700])
            before = training._predict(noisy, times, ["a man", "a woman"])
            list(training.run(Budget(40, "images")))
            after = training._predict(noisy, times, ["a man", "a woman"])
            moved[prior] = (after - before).abs().mean().item()
        assert moved[300.0] < 0.7 * moved[0.0]

    def test_more_processes_than_faces_of_a_step(
        self, faces: FaceDataset, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("augface.generators.diffusers_lora.members", lambda: (0, 4))
        with pytest.raises(UsageError, match="4 processes cannot share train_batch=2"):
            fitted("diffusers-lora", faces, built, **LORA)

    def test_too_little_memory(self, faces: FaceDataset, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from augface.generators import _lora

        def full(_: Any) -> float:
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(_lora.LoraTraining, "_step", full)
        with pytest.raises(UsageError, match=r"does not fit into the memory of the GPU.*smaller train_batch than 2"):
            fitted("diffusers-lora", faces, built, **LORA)

    def test_layers_that_are_not_there(self, faces: FaceDataset, built: Path) -> None:
        with pytest.raises(UsageError, match="LoRA cannot be added: Target modules"):
            fitted("diffusers-lora", faces, built, targets="nowhere", **LORA)
