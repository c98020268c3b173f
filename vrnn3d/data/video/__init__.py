"""The user's own clips: reading one, and a folder of them as a dataset.

Readable are gif, webp and apng files, folders of numbered pictures, npy and npz arrays, and the containers (mp4, avi,
mov, ...) that PyAV opens.
"""

from vrnn3d.data.video.clips import Clip, find_clips, list_clips, split_clips
from vrnn3d.data.video.dataset import VideoFolder
from vrnn3d.data.video.read import FITS, count_frames, probe, read_last, read_video
from vrnn3d.data.video.sources import ANIMATIONS, ARRAYS, CONTAINERS, PICTURES, UnreadableError, VideoInfo

__all__ = [
    "ANIMATIONS",
    "ARRAYS",
    "CONTAINERS",
    "FITS",
    "PICTURES",
    "Clip",
    "UnreadableError",
    "VideoFolder",
    "VideoInfo",
    "count_frames",
    "find_clips",
    "list_clips",
    "probe",
    "read_last",
    "read_video",
    "split_clips",
]
