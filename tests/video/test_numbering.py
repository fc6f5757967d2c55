from keras_maskrcnn.video.numbering import FrameNumbers, ranges


def test_frames_are_numbered_in_the_order_in_which_they_are_shown():
    numbers = FrameNumbers(one_each=True)
    for time in (0, 4, 2, 1, 3):  # as packets with B-frames come
        numbers.sent(time)
    assert [numbers.number(time, time == 0) for time in range(5)] == [0, 1, 2, 3, 4]
    numbers.end()
    assert numbers.lost == []


def test_a_frame_that_never_comes_keeps_its_number():
    numbers = FrameNumbers(one_each=True)
    for time in range(6):
        numbers.sent(time)
    assert [numbers.number(time, False) for time in (0, 1, 3)] == [0, 1, 3]
    numbers.end()
    assert numbers.lost == [2, 4, 5]


def test_packets_without_frames_of_their_own_count_only_behind_an_error_until_a_key_frame():
    numbers = FrameNumbers(one_each=False)
    for time in range(12):
        numbers.sent(time)
    assert [numbers.number(time, False) for time in (0, 2)] == [0, 1]
    numbers.failed(4)
    assert numbers.number(3, True) == 2  # shown before the error, a key frame ends nothing
    assert numbers.number(6, True) == 5
    assert numbers.lost == [3, 4]
    assert numbers.number(8, False) == 6
    numbers.end()
    assert numbers.lost == [3, 4]


def test_fields_of_one_frame_are_no_loss():
    numbers = FrameNumbers(one_each=True)
    for time in range(4):
        numbers.sent(time)
    assert [numbers.number(time, False, one_each=False) for time in (0, 2)] == [0, 1]
    assert numbers.lost == []


def test_without_times_an_error_is_the_next_frame():
    numbers = FrameNumbers(one_each=True)
    numbers.sent(None)
    assert numbers.number(None, True) == 0
    numbers.failed(None)
    assert numbers.number(None, False) == 2 and numbers.lost == [1]


def test_ranges_are_short():
    assert ranges([]) == "" and ranges([3]) == "3"
    assert ranges([0, 1, 2, 7, 9, 10]) == "0-2, 7, 9-10"
    assert ranges([0, 2, 4, 6], most=2) == "0, 2, ..."
