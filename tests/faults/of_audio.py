"""Faults in sound: transforms, rates, channels, slices, what is refused, and the codec as it arrives."""

from __future__ import annotations

from .plants import BOUNDS, SCHEMA, VERBS, Fault, edit

AUDIO = "tests/data/test_audio.py::"
RUNS = "tests/runs/test_audio_runs.py::"

LIST = (
    Fault(
        "a transform that is not centred", BOUNDS,
        edit("core.waves:Stft.forward", 'pad_mode="constant"', 'pad_mode="replicate"'),
        (f"{AUDIO}test_frames_are_windowed_fourier_sums",),
    ),
    Fault(
        "mel bands evenly spaced in Hz", BOUNDS,
        edit("core.waves:mel_filters", "hertz(top * i / (n_mels + 1))", "rate / 2 * i / (n_mels + 1)"),
        (f"{AUDIO}test_mel_bands_are_interpolated_triangles",),
    ),
    Fault(
        "a ratio of signal to distortion that sees the level", BOUNDS,
        edit("core.waves:si_sdr", "energy.clamp_min(torch.finfo(x.dtype).tiny) * x", "energy.new_ones(()) * x"),
        (f"{AUDIO}test_the_ratio_of_signal_to_distortion_is_that_of_noise_that_was_added",),
    ),
    Fault(
        "decibels of power where magnitudes are", BOUNDS,
        edit("core.waves:log_spectral_distance", "20 * stft.magnitude", "10 * stft.magnitude"),
        (f"{AUDIO}test_distances_of_spectra_of_a_louder_sound_are_its_level",),
    ),
    Fault(
        "slices resampled without their neighbours", SCHEMA,
        edit("data.audio.clips:Clip.at_rate", "first = max(0, start // up - margin)", "first = start // up"),
        (f"{AUDIO}test_a_slice_is_what_the_resampled_whole_has_there",),
    ),
    Fault(
        "one channel taken for the mean of both", SCHEMA,
        edit("data.audio.slices:with_channels", "x.mean(1, keepdims=True)", "x[:, :1]"),
        (f"{AUDIO}test_channels_are_unified_by_a_stated_rule",),
    ),
    Fault(
        "recordings that come back at the rate of the model", SCHEMA,
        edit("data.audio.slices:Slices.joined", "resampled(whole, self.rate, clip.rate), clip.frames), clip.rate",
             "whole, clip.frames), self.rate"),
        (f"{AUDIO}test_rates_are_unified_by_what_most_have_and_come_back",),
    ),
    Fault(
        "slices of one recording in several parts", SCHEMA,
        edit("data.audio.kind:_divided", 'model_copy(update={"by": by})', 'model_copy(update={"by": "rows"})'),
        (f"{AUDIO}test_slices_of_a_recording_stay_in_one_part",),
    ),
    Fault(
        "a wav that is cut, taken as it is", SCHEMA,
        edit("data.audio.clips:need_whole_wav", "announced > held", "announced < 0"),
        (f"{AUDIO}test_bad_files_are_told_in_one_sentence_with_the_way_out",),
    ),
    Fault(
        "samples that are no numbers", SCHEMA,
        edit("data.audio.clips:Clip.section", "not np.isfinite(found).all()", "False"),
        (f"{AUDIO}test_bad_files_are_told_in_one_sentence_with_the_way_out",),
    ),
    Fault(
        "loud samples cut without a word", SCHEMA,
        edit("data.audio.sounds:_put", '"FLOAT" if loud and kept != "FLOAT" else kept', "kept"),
        (f"{AUDIO}test_what_is_beyond_full_scale_is_kept_in_wav_and_said_elsewhere",),
    ),
    Fault(
        "a stream that forgets what a frame can see", VERBS,
        edit("parts.quantisers.waves:CodeStream._codes", "self.coder.stages.context // total", "1"),
        (f"{RUNS}test_codes_of_a_stream_are_those_of_the_whole",),
    ),
    Fault(
        "convolutions that look ahead", VERBS,
        edit("nn.waves:Causal.forward", "F.pad(h, (self.back, 0))", "F.pad(h, (self.back - 1, 1))"),
        (f"{RUNS}test_a_frame_sees_nothing_after_it_and_no_more_than_its_context",),
    ),
)
