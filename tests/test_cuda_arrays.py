"""Arrays that calls take and give: streams, out=, other libraries, on a simulated device."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from backends.cuda import arrays
from backends.cuda.arrays import DeviceArray, is_on_device, to_device
from backends.cuda.calls import Caller, stream_number
from backends.cuda.device import View
from backends.cuda.simulated_device import (
    SimulatedDevice,
)

from .cuda_support.foreign import Foreign
from .cuda_support.products import N, caller, device_of_calls, numbers, queued


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> SimulatedDevice:
    return device_of_calls(monkeypatch)


# -- streams --------------------------------------------------------------------------------------
def test_calls_with_arrays_on_the_device_do_not_wait(device: SimulatedDevice) -> None:
    a, b = numbers()
    product, again = caller((False, False))(to_device(a, device), to_device(b, device))
    assert "finish" not in device.log
    assert isinstance(product, DeviceArray)
    assert (product.shape, product.dtype, again.ndim) == ((N, N), np.float64, 2)
    np.testing.assert_allclose(np.asarray(product), a @ b)


def test_producer_of_an_argument_is_waited_for(device: SimulatedDevice) -> None:
    a, b = numbers()
    late = Foreign(device, np.full((N, N), np.nan))
    late.written_later(99, a)
    product, _ = caller((False, True))(late, b)
    assert "wait for 99" in device.log
    np.testing.assert_allclose(np.asarray(product), a @ b)


def test_result_of_another_stream_is_waited_for(device: SimulatedDevice) -> None:
    a, b = numbers()
    call = caller((False, False))
    arguments = [to_device(x, device) for x in (a, b)]
    product, _ = call(*arguments, stream=42)
    assert product.stream == 42
    again, _ = call(product, arguments[1])  # runs where the product was made
    assert again.stream == 42
    moved, _ = call(product, arguments[1], stream=43)
    assert moved.stream == 43
    np.testing.assert_allclose(np.asarray(moved), a @ b @ b)
    np.testing.assert_allclose(np.asarray(again), a @ b @ b)


def test_mixed_arguments_are_copied_and_results_stay_on_the_device(
    device: SimulatedDevice,
) -> None:
    a, b = numbers()
    product, _ = caller((True, False))(a, to_device(b, device))
    a[:] = np.nan  # the call has read it
    assert isinstance(product, DeviceArray)
    np.testing.assert_allclose(np.asarray(product), numbers()[0] @ b)


def test_foreign_arguments_live_until_the_work_is_done(device: SimulatedDevice) -> None:
    a, b = numbers()
    foreign = Foreign(device, a)
    product, _ = caller((False, True))(foreign, b)
    del foreign
    gc.collect()
    np.testing.assert_allclose(np.asarray(product), a @ b)
    assert not device.held


@pytest.mark.parametrize("stream, waits", [(None, 1), (1, 1), (55, 55), (7, None), (-1, None)])
def test_dlpack_orders_the_consumer_after_the_producer(
    device: SimulatedDevice, stream: int | None, waits: int | None
) -> None:
    array = to_device(np.ones(3), device)
    queued(device)
    array.__dlpack__(stream=stream)
    assert queued(device) == ([] if waits is None else [f"release to {waits}"])
    assert array.__dlpack_device__() == (2, 0)


def test_streams_of_other_libraries_are_known() -> None:
    class OfCore:
        def __cuda_stream__(self) -> tuple[int, int]:
            return 0, 11

    class OfCupy:
        ptr = 12

    class OfTorch:
        cuda_stream = 13

    found = [stream_number(s) for s in (5, OfCore(), OfCupy(), OfTorch())]
    assert found == [5, 11, 12, 13]
    with pytest.raises(TypeError, match="stream= is no CUDA stream"):
        stream_number("fast")


def test_stream_of_another_library_lives_as_long_as_memory_of_it(device: SimulatedDevice) -> None:
    class OfCupy:
        ptr = 44

    stream = OfCupy()
    alive = weakref.ref(stream)
    product, _ = caller((False, True))(to_device(numbers()[0], device), numbers()[1], stream=stream)
    del stream
    gc.collect()
    assert alive() is product.device.owner is not None


# -- out= -----------------------------------------------------------------------------------------
def test_out_on_the_host(device: SimulatedDevice) -> None:
    a, b = numbers()
    out = [np.empty((N, N)), np.empty((N, N))]
    results = caller((True, True))(a, b, out=out)
    assert all(mine is theirs for mine, theirs in zip(results, out, strict=True))
    np.testing.assert_allclose(out[0], a @ b)


def test_out_of_another_library_is_ready_when_the_call_returns(device: SimulatedDevice) -> None:
    a, b = numbers()
    out = [Foreign(device, np.zeros((N, N))) for _ in range(2)]
    results = caller((False, True))(to_device(a, device), b, out=out)
    assert results[0] is out[0]
    np.testing.assert_allclose(out[0].entries(), a @ b)
    late = [Foreign(device, np.zeros((N, N))) for _ in range(2)]
    caller((False, True))(to_device(a, device), b, out=late, stream=7)
    assert not late[0].entries().any()  # the caller's stream has the order
    device.gpu.stream(7).advance(device.gpu.stream(7).issued)
    np.testing.assert_allclose(late[0].entries(), a @ b)


def refused(call: Caller, *arguments: Any, **options: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_out_must_fit(device: SimulatedDevice) -> None:
    a, b = numbers()
    call = caller((True, True))
    good = np.empty((N, N))
    assert "out= has 1 arrays for 2 results" in refused(call, a, b, out=good)
    assert "out[1] does not fit" in refused(call, a, b, out=[good, np.empty(2)])
    assert "float32" in refused(call, a, b, out=[good, good.astype("f")])
    assert "not contiguous" in refused(call, a, b, out=[good, np.empty((N, N)).T])
    assert "no NumPy array" in refused(call, a, b, out=[good, to_device(good, device)])
    on_device = [to_device(x, device) for x in (a, b)]
    call = caller((False, False))
    assert "not on the device" in refused(call, *on_device, out=[good, good])
    assert "shares memory" in refused(call, *on_device, out=[on_device[0], to_device(a, device)])
    same = to_device(a, device)
    assert "shares memory" in refused(call, *on_device, out=[same, same])
    frozen = Foreign(device, a, read_only=True)
    assert "read-only" in refused(call, *on_device, out=[same, frozen])


# -- arrays ---------------------------------------------------------------------------------------
def test_arguments_on_the_device_must_be_dense_and_of_the_dtype(device: SimulatedDevice) -> None:
    a, b = numbers()
    call = caller((False, True))
    text = refused(call, Foreign(device, a.astype("f")), b)
    assert text == (
        "A is float32 on the device, but this call computes in float64\n"
        "  A: shape (3, 3), dtype float32\n"
        "  hint: convert it: A.astype('float64'), or in torch A.to(torch.float64)"
    )
    text = refused(call, Foreign(device, a, strides=(8, 24)), b)
    assert text == (
        "A is not contiguous on the device\n"
        "  A: shape (3, 3), dtype float64\n"
        "  strides in entries: (1, 3)\n"
        "  hint: copy it: cupy.ascontiguousarray(A), or in torch A.contiguous()"
    )
    assert "needed: shape (3, 3)" in refused(call, Foreign(device, np.ones(3)), b)


@pytest.mark.parametrize(
    "shape, strides, dense",
    [((2, 3), (3, 1), True), ((2, 3), (1, 2), False), ((1, 3), (99, 1), True),
     ((0, 3), (5, 7), True), ((2, 1), (1, 1), True), ((3,), (2,), False), ((), (), True)],
)  # fmt: skip
def test_dense_arrays_are_told_by_their_strides(
    shape: tuple[int, ...], strides: tuple[int, ...], dense: bool
) -> None:
    assert View(0, shape, strides, np.dtype(float), False, None).is_dense == dense


def test_device_array_is_a_citizen(device: SimulatedDevice) -> None:
    array = to_device(np.arange(6.0).reshape(2, 3), device)
    assert repr(array) == "DeviceArray((2, 3), float64, on <simulated GPU, device 0>)"
    assert (len(array), array.size, array.nbytes) == (2, 6, 48)
    np.testing.assert_array_equal(np.asarray(array, np.float32), np.arange(6).reshape(2, 3))
    assert array.__cuda_array_interface__ == {
        "shape": (2, 3), "typestr": "<f8", "data": (array.memory.address, False),
        "strides": None, "stream": 7, "version": 3,
    }  # fmt: skip
    assert float(to_device(np.array(2.5), device)) == 2.5
    empty = to_device(np.zeros((0, 2)), device)
    assert empty.__cuda_array_interface__["data"] == (0, False)
    assert np.asarray(empty).shape == (0, 2)
    with pytest.raises(ValueError, match="always copied"):
        np.array(array, copy=False)
    with pytest.raises(TypeError):
        array + 1  # no hidden copies
    with pytest.raises(TypeError):
        np.sin(array)


def test_entries_of_a_device_array_are_replaced_as_a_whole(device: SimulatedDevice) -> None:
    array = to_device(np.zeros((2, 3)), device)
    array[...] = np.arange(3)
    again = array.copy()
    array[...] = to_device(np.ones((2, 3)), device)
    np.testing.assert_array_equal(np.asarray(again), [[0, 1, 2], [0, 1, 2]])
    assert array.tolist() == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(TypeError, match="a part of an array on the device cannot be assigned"):
        array[0] = 1.0
    with pytest.raises(ValueError, match="the new value does not fit"):
        array[...] = to_device(np.ones(3), device)


def test_numbers_on_the_device_are_numbers(device: SimulatedDevice) -> None:
    loss = to_device(np.array(2.5), device)
    assert (float(loss), int(loss), bool(loss), loss.item(), f"{loss:.2f}") == (
        2.5,
        2,
        True,
        2.5,
        "2.50",
    )
    foreign = arrays.on_device(Foreign(device, np.array(1.5)))
    assert float(foreign) == 1.5 and foreign.nbytes == 8


def test_what_lies_on_the_device(device: SimulatedDevice) -> None:
    class OnHost:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

    assert is_on_device(to_device(np.ones(2), device))
    assert is_on_device(Foreign(device, np.ones(2)))
    assert not any(map(is_on_device, [np.ones(2), 1.0, [1.0], OnHost()]))


def test_dtypes_that_numpy_lacks_are_refused() -> None:
    class Tensor:
        dtype = "torch.bfloat17"
        shape = (2,)

    with pytest.raises(TypeError, match="bfloat17"):
        arrays.dtype_of(Tensor())
    Tensor.dtype = "torch.float32"
    assert arrays.dtype_of(Tensor()) == np.float32
