"""Folders of pictures as tables, from Python and from the command line."""

import numpy as np
import pytest
from files import write_mnist

import jitnet
from jitnet import cli
from jitnet.data import mnist, read_table


@pytest.fixture
def pictures(tmp_path):
    """Two classes of 4×3 gray images: dark and light."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'jitnet[data]'")
    rng = np.random.default_rng(0)
    for name, least in (("dark", 0), ("light", 200)):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(10):
            array = rng.integers(least, least + 50, (3, 4)).astype(np.uint8)
            image.fromarray(array).save(folder / f"{i}.{'png' if i % 2 else 'PNG'}")
    return tmp_path / "pictures"


def test_folder_of_images_trains_and_predicts(pictures, tmp_path, capsys):
    from PIL import Image

    table = read_table(pictures)
    assert (table.matrix.shape, table.matrix.dtype, table.kind, table.target) == (
        (20, 12),
        np.float32,
        "pictures",
        "label",
    )
    assert table.y.tolist() == ["dark"] * 10 + ["light"] * 10
    assert table.notes == ["20 images of 4×3 pixels, in gray"]
    first = np.asarray(Image.open(pictures / "dark" / "0.PNG"))
    np.testing.assert_array_equal(table.matrix[0], first.ravel().astype(np.float32) / np.float32(255))
    model = str(tmp_path / "m.npz")
    assert cli.main(["train", str(pictures), "--save", model, "--epochs", "60", "--lr", "0.05", "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["predict", model, str(pictures / "light"), "--quiet"]) == 0
    assert capsys.readouterr().out == "light\n" * 10
    Image.fromarray(np.full((3, 4, 3), 230, np.uint8)).save(tmp_path / "one.png")  # a color image, gray model
    assert cli.main(["predict", model, str(tmp_path / "one.png"), "--quiet"]) == 0
    assert capsys.readouterr().out == "light\n"
    Image.fromarray(np.full((5, 4), 230, np.uint8)).save(tmp_path / "one.png")
    assert cli.main(["predict", model, str(tmp_path / "one.png"), "--quiet"]) == 2
    assert "one.png is 4×5 pixels, 20 gray pixels or 3 times" in capsys.readouterr().err


def test_one_color_image_makes_all_images_color(pictures):
    from PIL import Image

    color = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    Image.fromarray(color).save(pictures / "dark" / "zz.png")
    table = read_table(pictures)
    assert table.matrix.shape == (21, 36)
    assert table.notes == ["21 images of 4×3 pixels, in color, as 1 of them have colors"]
    np.testing.assert_array_equal(table.matrix[10], color.ravel().astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(table.matrix[0][0:36:3], table.matrix[0][1:36:3])
    (pictures / "dark" / "zz.png").unlink()
    Image.fromarray(np.full((3, 4), 256 * 77 + 5, np.uint16)).save(pictures / "dark" / "zz.png")  # 16 bits
    Image.fromarray(color[..., 0]).convert("P").save(pictures / "dark" / "zy.png")  # a palette of grays
    table = read_table(pictures)
    assert table.matrix.shape == (22, 12)
    np.testing.assert_array_equal(table.matrix[11], np.float32(77) / np.float32(255))


def test_bad_folders_are_a_clear_error(pictures, tmp_path):
    from PIL import Image

    def refused(message):
        with pytest.raises(jitnet.Error, match=message):
            read_table(pictures)

    odd = pictures / "dark" / "odd.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(odd)
    refused(r"odd.png is 9×9 pixels, but 20 of 21 images are 4×3 pixels; scale all to one size")
    odd.write_bytes(odd.read_bytes()[:40])
    refused("odd.png is not a readable image: .*; remove it, or save it again")
    odd.write_text("no picture")
    refused("odd.png is not a readable image")
    odd.rename(pictures / "odd.png")
    refused("odd.png is directly in .*; put each image into a folder with the name of its class")
    (pictures / "odd.png").unlink()
    (pictures / "empty").mkdir()
    refused("empty has no PNG or JPEG files; remove it")
    (pictures / "empty" / "a.bmp").touch()
    refused("empty has no PNG or JPEG files; it holds a.bmp")
    with pytest.raises(
        jitnet.Error, match=r"has no images: .*; the folders in .*pictures have some: name .*pictures instead"
    ):
        read_table(tmp_path)
    with pytest.raises(jitnet.Error, match="is one image; give the folder"):
        read_table(pictures / "dark" / "0.PNG")
    with pytest.raises(
        jitnet.Error, match=r"has no images: it needs one folder for each class.*jitnet train mnist --path"
    ):
        read_table(write_mnist(tmp_path / "m"))
    with pytest.raises(jitnet.Error, match="has no images"):
        read_table(pictures / "empty")
    (pictures / "empty" / "a.bmp").rename(pictures / "dark" / "a.bmp")
    (pictures / "empty").rmdir()
    assert "1 other file not read, such as " in read_table(pictures).notes[1]


@pytest.mark.parametrize(
    "form",
    [
        "{}.idx{}-ubyte",
        "{0}-idx{1}-ubyte/{0}.idx{1}-ubyte",
        "{0}.idx{1}-ubyte/{0}-idx{1}-ubyte",
        "MNIST/raw/{}-idx{}-ubyte",
        "{}_IDX{}_UBYTE",
        "{}.idx{}",
    ],
)
def test_unpacked_mnist_in_any_folder_layout_is_read(tmp_path, form):
    folder = write_mnist(tmp_path / "m", compress=False)
    for part in ("train", "t10k"):
        for what, dimensions in (("images", 3), ("labels", 1)):
            new = tmp_path / form.format(f"{part}-{what}", dimensions)
            new.parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{part}-{what}-idx{dimensions}-ubyte").rename(new)
    folder.rmdir()
    (X, _), _ = mnist(tmp_path)
    assert X.shape == (20, 784)


def test_a_folder_without_mnist_or_with_two_data_sets_is_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"/m does not exist"):
        mnist(tmp_path / "m")
    for n, name in enumerate(("MNIST", "FashionMNIST")):
        write_mnist(tmp_path / name, train=20 + n)
    with pytest.raises(jitnet.Error, match=r"/FashionMNIST, .*/MNIST each contain train-images-idx3, with different"):
        mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"images-idx3-ubyte\.gz is a file; give the folder that contains it"):
        mnist(tmp_path / "MNIST" / "train-images-idx3-ubyte.gz")


def test_two_copies_of_mnist_are_one(tmp_path):
    for name in ("gz", "raw"):
        write_mnist(tmp_path / name, compress=name == "gz")
    (tmp_path / "gz" / "train-images-idx3-ubyte").touch()  # unpacking was interrupted
    (X, _), _ = mnist(tmp_path)
    assert X.shape == (20, 784)
