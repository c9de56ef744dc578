"""Makes a small tree in the layout of Aff-Wild2: python3 affwild2.py DEST CLIP...

Crops are frames of the clips (any videos of a face), turned in hue by a rule from which all labels follow, so that
there is something to learn. Some crops are missing, some labels invalid, annotation files are longer or shorter than
their videos, one video shows the left and one the right of two persons, one test video has no annotations.

`videos` has the videos with a sound track whose tones follow the same rule, each wrong now and then; one container counts
fewer frames than there are crops, one video is missing. `libreface.csv` has scores as LibreFace would give them, with rows
that are missing and rows of no crop.
Needs ffmpeg; no packages.
"""

import array
import math
import subprocess
import sys
import wave
from pathlib import Path

EXPR = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
AU = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
SIDE = 96
# Frames that show one class before the next one comes.
RUN = 6

# name, part, clip, second to start at, frames, lines more than frames (or fewer)
VIDEOS = [
    ("1-30-640x360", "Train_Set", 0, 2, 96, 0),
    ("video2", "Train_Set", 0, 20, 96, 3),
    ("video7_left", "Train_Set", 1, 1, 96, -4),
    ("video7_right", "Validation_Set", 1, 10, 96, 0),
    ("video9", "Validation_Set", 0, 35, 120, 2),
    ("video11", None, 1, 20, 40, 0),
]


def label(frame):
    """The class of a frame, counted from 0."""
    return frame // RUN % 8


def is_missing(name, frame):
    if name == "video9" and (frame < 2 or 40 <= frame < 46):
        return True
    return frame % 17 == 5


def expression(frame):
    return "-1" if frame % 13 == 7 else str(label(frame))


def valence_arousal(frame):
    if frame % 11 == 3:
        return "-5,-5"
    angle = math.tau * label(frame) / 8
    return f"{0.8 * math.cos(angle):.3f},{0.8 * math.sin(angle):.3f}"


def action_units(frame):
    if frame % 19 == 9:
        return ",".join(["-1"] * 12)
    return ",".join(str(int((label(frame) + unit) % 3 == 0)) for unit in range(12))


TASKS = [
    ("EXPR_Recognition_Challenge", EXPR, expression, "Expr"),
    ("VA_Estimation_Challenge", "valence,arousal", valence_arousal, "VA"),
    ("AU_Detection_Challenge", AU, action_units, "AU"),
]


# Frames of the video file, without the end of the crop folder's name; the file of "video2" is missing.
FILES = [
    ("1-30-640x360.mp4", 96, ["-c:a", "aac"]),
    ("video7.mkv", 96, ["-c:a", "pcm_s16le"]),
    ("video9.mp4", 110, ["-c:a", "aac"]),
    ("video11.mp4", 40, ["-c:a", "aac"]),
]
RATE = 44100
FRAMES_PER_SECOND = 25
LIBREFACE = "Neutral,Happiness,Sadness,Surprise,Fear,Disgust,Anger,Contempt"


def heard(frame):
    """The class that is heard in a frame: every seventh frame has the tone of another one."""
    return (label(frame) + (3 if frame % 7 == 4 else 0)) % 8


def tone(sample):
    frame = sample * FRAMES_PER_SECOND // RATE
    frequency = 400 + 250 * heard(frame)
    return int(9000 * math.sin(math.tau * frequency * (sample % RATE) / RATE))


def make_video(folder, name, frames, codec):
    sound = folder / "sound.wav"
    with wave.open(str(sound), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(array.array("h", map(tone, range(frames * RATE // FRAMES_PER_SECOND))).tobytes())
    pictures = f"color=size=32x32:rate={FRAMES_PER_SECOND}"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", sound, "-f", "lavfi", "-i", pictures, "-frames:v", str(frames)]
        + ["-c:v", "mpeg4", *codec, folder / name],
        check=True,
    )
    sound.unlink()


def libreface(name, frame):
    scores = [math.sin(0.7 * place + frame) + (2.5 if place == label(frame) else 0) for place in range(8)]
    return f"{name}/{frame + 1:05}.jpg," + ",".join(f"{score:.4f}" for score in scores)


def main(dest, clips):
    for name, part, clip, start, frames, more in VIDEOS:
        crops = dest / "cropped" / name
        crops.mkdir(parents=True)
        hue = rf"hue=h=45*mod(floor(n/{RUN})\,8):s=3"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-ss", str(start), "-i", clips[clip % len(clips)], "-frames:v", str(frames)]
            + ["-vf", f"crop=min(iw\\,ih):min(iw\\,ih),scale={SIDE}:{SIDE},{hue}", "-q:v", "3", crops / "%05d.jpg"],
            check=True,
        )
        for frame in range(frames):
            if is_missing(name, frame):
                (crops / f"{frame + 1:05}.jpg").unlink()
        for tree, header, rule, _ in TASKS if part else []:
            folder = dest / tree / part
            folder.mkdir(parents=True, exist_ok=True)
            lines = [header, *map(rule, range(frames + more))]
            (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (dest / "videos").mkdir()
    for name, frames, codec in FILES:
        make_video(dest / "videos", name, frames, codec)
    # Frames without a crop have rows, and every ninth frame has none.
    rows = [libreface(name, frame) for name, _, _, _, frames, _ in VIDEOS for frame in range(frames) if frame % 9 != 2]
    (dest / "libreface.csv").write_text("\n".join([f"image,{LIBREFACE}", *rows]) + "\n")
    for _, header, _, short in TASKS:
        rows = [f"video11/{frame:05}.jpg," for frame in range(1, 44)]
        sample = dest / f"CVPR_6th_ABAW_{short}_test_set_example.txt"
        sample.write_text("\n".join([f"image_location,{header}", *rows]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
