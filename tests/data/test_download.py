"""Downloads against servers on localhost: whole and readable, or nothing that passes for data."""

import hashlib
import io
import json
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from landslide_lib.data.formats.files import deliver
from landslide_lib.data.registry import DatasetNotFoundError, DownloadError, get_dataset, load_packed
from landslide_lib.data.statistics import verify_files

BIJIE = get_dataset("bijie")
L4S = get_dataset("landslide4sense")
SHA = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "somebody/Landslide4sense"


class Server:
    """Serves `files` by path; cuts each body after `cut` bytes; remembers what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: int | None = None
        self.lengths = True
        self.down = False
        self.broken: set[str] = set()
        self.asked: list[str] = []
        serving = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                path = unquote(urlsplit(self.path).path)
                if body:
                    serving.asked.append(path)
                data = serving.files.get(path)
                if data is None or serving.down or path in serving.broken:
                    self.send_error(503 if serving.down else 404)
                    return
                self.send_response(200)
                if serving.lengths:
                    self.send_header("Content-Length", str(len(data)))
                if path.startswith("/api/"):
                    self.send_header("Content-Type", "application/json")
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Repo-Commit", SHA)
                self.end_headers()
                if body:
                    self.wfile.write(data[: serving.cut])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server of its own for each test, reached past any proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    serving = Server()
    thread = threading.Thread(target=serving.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield serving
    serving.server.shutdown()
    serving.server.server_close()
    thread.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty data root."""
    return tmp_path / "root"


def zipped(folder: Path, top: str = "", extra: dict[str, bytes] | None = None) -> bytes:
    """Put a folder into a zip archive, under a top folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, top + path.relative_to(folder).as_posix())
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return out.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder but the note of where they came from."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "SOURCE.json"
    }


def visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


# --- Bijie: an archive ----------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["Bijie-landslide-dataset/", "", "a/b c/"])
def test_the_archive_arrives_whole_whatever_its_top_folder_is_called(server, root, tiny_bijie, top):
    server.files["/bijie.zip"] = data = zipped(tiny_bijie / "bijie", top)
    home = BIJIE.download(root, server.address + "/bijie.zip")
    assert home == root / "bijie"
    assert content(home) == content(tiny_bijie / "bijie")
    assert BIJIE.fingerprint(BIJIE.samples(root)) == BIJIE.fingerprint(BIJIE.samples(tiny_bijie))
    assert verify_files(BIJIE, root).bad == ()
    assert visible(root) == ["bijie"]
    assert not (root / ".bijie.download").exists()
    source = json.loads((home / "SOURCE.json").read_text())
    assert source == {"address": server.address + "/bijie.zip", "sha256": hashlib.sha256(data).hexdigest()}


def test_other_things_in_the_data_root_are_left_alone(server, root, tiny_bijie):
    (root / "uav").mkdir(parents=True)
    (root / "uav" / "landslide").write_text("mine")
    server.files["/bijie.zip"] = zipped(tiny_bijie / "bijie", extra={"uav/landslide": b"theirs"})
    BIJIE.download(root, server.address + "/bijie.zip")
    assert (root / "uav" / "landslide").read_text() == "mine"


def test_what_was_downloaded_is_not_fetched_again(server, root, tiny_bijie):
    server.files["/bijie.zip"] = zipped(tiny_bijie / "bijie")
    for _ in range(2):
        BIJIE.download(root, server.address + "/bijie.zip")
    assert server.asked == ["/bijie.zip"]


def test_a_users_own_folder_is_never_overwritten(server, root, make, tiny_bijie):
    server.files["/bijie.zip"] = zipped(tiny_bijie / "bijie")
    before = content(make["bijie"](root, 1, 1))
    with pytest.raises(DownloadError, match=r"is there already\. Move it away"):
        BIJIE.download(root, server.address + "/bijie.zip")
    assert {k: v for k, v in content(root).items() if not k.startswith(".")} == before
    assert server.asked == []


def nothing_there(root: Path) -> None:
    with pytest.raises(DatasetNotFoundError):
        BIJIE.samples(root)
    assert visible(root) == []


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_download_that_breaks_off_leaves_nothing_and_can_be_repeated(server, root, tiny_bijie, lengths, share):
    server.files["/bijie.zip"] = data = zipped(tiny_bijie / "bijie")
    server.cut, server.lengths = int(len(data) * share), lengths
    with pytest.raises(DownloadError, match=r"bijie: .*/bijie\.zip.*Try again, or unpack") as error:
        BIJIE.download(root, server.address + "/bijie.zip")
    assert str(root / "bijie" / "landslide") in str(error.value)
    nothing_there(root)
    server.cut = None
    BIJIE.download(root, server.address + "/bijie.zip")
    assert content(root / "bijie") == content(tiny_bijie / "bijie")


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 3] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (flipped, "truncated or no zip archive"),
        (lambda data: b"<html>This site has moved</html>", "truncated or no zip archive"),
        (lambda data: b"", "truncated or no zip archive"),
        (lambda data: zipped(Path("/nowhere"), extra={"read.me": b"?"}), "has no image in"),
    ],
)
def test_an_archive_that_is_wrong_leaves_nothing_and_is_fetched_anew(
    server, root, tiny_bijie, spoil: Callable[[bytes], bytes], problem
):
    good = zipped(tiny_bijie / "bijie")
    server.files["/bijie.zip"] = spoil(good)
    with pytest.raises(DownloadError, match=problem):
        BIJIE.download(root, server.address + "/bijie.zip")
    nothing_there(root)
    server.files["/bijie.zip"] = good
    BIJIE.download(root, server.address + "/bijie.zip")
    assert verify_files(BIJIE, root).images == 8


def test_a_server_that_is_gone_or_has_no_such_file_is_named(server, root):
    with pytest.raises(DownloadError, match=r"/none\.zip cannot be fetched \(404"):
        BIJIE.download(root, server.address + "/none.zip")
    with pytest.raises(DatasetNotFoundError, match="cannot be fetched"):
        BIJIE.download(root, "http://127.0.0.1:9/bijie.zip")
    nothing_there(root)


def test_an_unpacking_that_was_killed_is_done_again_without_a_new_download(server, root, tiny_bijie):
    data = zipped(tiny_bijie / "bijie")
    work = root / ".bijie.download"
    half = work / "unpacked" / "landslide" / "image" / "ls_3.png"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    half.with_name("of_an_older_archive.png").write_bytes(b"old")
    (work / "archive.zip").write_bytes(data)
    nothing_there(root)
    BIJIE.download(root, server.address + "/bijie.zip")
    assert content(root / "bijie") == content(tiny_bijie / "bijie")
    assert server.asked == []


def test_an_archive_with_paths_that_lead_outside_writes_nothing_outside(server, root, tmp_path, tiny_bijie):
    absolute = tmp_path / "absolute.txt"
    link = zipfile.ZipInfo("landslide/image/link.png")
    link.external_attr = 0o120777 << 16
    names = [
        "../evil.txt",
        "../../evil.txt",
        "landslide/image/../../../../../evil.txt",
        "..\\evil.txt",
        str(absolute),
        "../.bashrc",
    ]
    out = io.BytesIO(zipped(tiny_bijie / "bijie", extra=dict.fromkeys(names, b"evil")))
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(link, str(tmp_path / "secret"))
    (tmp_path / "secret").write_text("secret")
    server.files["/bijie.zip"] = out.getvalue()
    before = content(tmp_path)
    home = BIJIE.download(root, server.address + "/bijie.zip")
    added = set(content(tmp_path)) - set(before)
    inside = home.relative_to(tmp_path).as_posix() + "/"
    assert {name for name in added if not name.startswith(inside)} <= {"root/.bijie.lock"}
    assert not absolute.exists()
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert len(BIJIE.samples(root)) == 9  # the link is a file that is no picture
    assert [Path(p.file).name for p in verify_files(BIJIE, root).bad] == ["link.png"]


def test_two_downloads_at_once_fetch_once(server, root, tiny_bijie):
    server.files["/bijie.zip"] = zipped(tiny_bijie / "bijie")
    homes: list[Path] = []
    both = [
        threading.Thread(target=lambda: homes.append(BIJIE.download(root, server.address + "/bijie.zip")))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=30)
    assert homes == [root / "bijie"] * 2
    assert server.asked == ["/bijie.zip"]


def test_an_interrupted_delivery_leaves_no_home(tmp_path):
    def interrupted(work: Path) -> tuple[Path, dict[str, str]]:
        (work / "files").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(tmp_path / "home", interrupted)
    assert not (tmp_path / "home").exists()


# --- Landslide4Sense: the Hugging Face hub --------------------------------------------------------


@pytest.fixture
def hub(server: Server, tmp_path: Path, make) -> Server:
    """The endpoints of the hub that snapshot_download needs, for one repository."""
    home = make["landslide4sense"](tmp_path / "hub", "mirror", (1, 2)) / "landslide4sense"
    files = {**content(home), "README.md": b"read me", ".gitattributes": b""}
    publish(server, files)
    return server


def publish(server: Server, files: dict[str, bytes]) -> None:
    about = {
        "id": REPOSITORY,
        "sha": SHA,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [{"rfilename": name} for name in files],
    }
    tree = [
        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        for name, data in files.items()
    ]
    api = f"/api/datasets/{REPOSITORY}"
    for path in (api, f"{api}/revision/main", f"{api}/revision/{SHA}"):
        server.files[path] = json.dumps(about).encode()
    server.files[f"{api}/tree/{SHA}"] = json.dumps(tree).encode()
    for name, data in files.items():
        server.files[f"/datasets/{REPOSITORY}/resolve/{SHA}/{name}"] = data


def fetch(server: Server, root: Path) -> Path:
    return L4S.download(root, REPOSITORY, server.address)


def no_patches(root: Path) -> None:
    with pytest.raises(DatasetNotFoundError):
        L4S.samples(root)
    assert visible(root) == []


def test_the_mirror_arrives_whole_and_can_be_read(hub, root, tmp_path):
    home = fetch(hub, root)
    assert home == root / "landslide4sense"
    assert content(home) == content(tmp_path / "hub" / "landslide4sense")
    assert verify_files(L4S, root).images == 2
    assert verify_files(L4S, root).bad == ()
    assert not any("README" in path for path in hub.asked)
    assert json.loads((home / "SOURCE.json").read_text()) == {"repository": REPOSITORY, "revision": SHA}
    assert visible(root) == ["landslide4sense"]
    hub.down = True
    assert fetch(hub, root) == home


def test_a_file_that_breaks_off_leaves_nothing_and_the_rest_is_not_fetched_twice(hub, root, tmp_path):
    name = f"/datasets/{REPOSITORY}/resolve/{SHA}/annotations/train/mask_2.h5"
    hub.broken.add(name)
    with pytest.raises(DownloadError, match=f"landslide4sense: {REPOSITORY} cannot be fetched"):
        fetch(hub, root)
    no_patches(root)
    hub.broken.clear()
    hub.asked.clear()
    home = fetch(hub, root)
    assert content(home) == content(tmp_path / "hub" / "landslide4sense")
    assert name in hub.asked


def test_a_body_shorter_than_the_hub_says_leaves_nothing(hub, root, monkeypatch):
    hub.cut = 2000  # longer than the answers of the API, shorter than any patch
    assert all(len(data) < 2000 for path, data in hub.files.items() if path.startswith("/api/"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits before it retries
    with pytest.raises(DownloadError, match="cannot be fetched"):
        fetch(hub, root)
    no_patches(root)


def test_a_hub_that_goes_away_after_half_does_not_make_half_a_dataset(hub, root):
    """snapshot_download then returns the folder as it is, with a warning only."""
    hub.broken.add(f"/datasets/{REPOSITORY}/resolve/{SHA}/images/train/image_2.h5")
    for gone in (False, True):
        hub.down = gone
        with pytest.raises(DownloadError, match="Try again: what has arrived is not fetched twice"):
            fetch(hub, root)
        no_patches(root)


def test_files_that_the_client_leaves_out_are_noticed(hub, root, monkeypatch):
    def half(repository, local_dir, **options):
        first = local_dir / "images" / "train" / "image_1.h5"
        first.parent.mkdir(parents=True)
        first.write_bytes(b"")
        return str(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", half)
    with pytest.raises(DownloadError, match="3 files of 4 are missing"):
        fetch(hub, root)
    no_patches(root)


def test_a_repository_without_patches_is_refused(server, root):
    publish(server, {"data.zip": b"?", "README.md": b"?"})
    with pytest.raises(DownloadError, match="0 files of 0"):
        fetch(server, root)
    no_patches(root)


def test_a_repository_with_paths_that_lead_outside_writes_nothing_outside(hub, root):
    files = {"images/../../evil.h5": b"evil", "images/train/image_1.h5": b"?"}
    publish(hub, files)
    with pytest.raises(DownloadError, match="evil"):
        fetch(hub, root)
    no_patches(root)
    assert not list(root.parent.rglob("evil.h5"))


def test_no_such_repository_is_named(server, root):
    with pytest.raises(DownloadError, match=f"{REPOSITORY} cannot be fetched"):
        fetch(server, root)
    no_patches(root)


def test_a_users_own_patches_are_never_mixed_with_the_mirrors(hub, root, make):
    make["landslide4sense"](root, "original", (1,))
    with pytest.raises(DownloadError, match=r"is there already\. Move it away"):
        fetch(hub, root)
    assert [s.id for s in L4S.samples(root)] == ["train/1"]


def test_the_embedded_dataset_needs_no_download(root):
    synthetic = get_dataset("synthetic")
    assert synthetic.download(root) == root
    assert not root.exists()


def test_bytes_on_the_way_are_the_bytes_packed(hub, root, tmp_path, cache):
    fetch(hub, root)
    here = load_packed(L4S, 16, root=root, cache=cache)
    there = load_packed(L4S, 16, root=tmp_path / "hub", cache=cache)
    np.testing.assert_array_equal(here.images, there.images)
    assert here.fingerprint == there.fingerprint
