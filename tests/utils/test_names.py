from keras_maskrcnn.utils.names import different_names


def test_names_that_are_the_same_get_numbers_that_no_other_has():
    assert different_names(["a", "b", "a", "A", "a_2"]) == ["a", "b", "a_3", "A_4", "a_2"]
