"""Observations that the functions of More, Garbow, Hillstrom (1981) are fitted to."""

from __future__ import annotations

import numpy as np

#: (8) Bard.
BARD = np.array([14, 18, 22, 25, 29, 32, 35, 39, 37, 58, 73, 96, 134, 210, 439]) / 100

#: (9) Gaussian: symmetric about the eighth.
GAUSSIAN = np.array([9, 44, 175, 540, 1295, 2420, 3521, 3989]) / 10_000
GAUSSIAN = np.concatenate([GAUSSIAN, GAUSSIAN[-2::-1]])

#: (10) Meyer: resistances of a thermistor.
MEYER = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744]
    + [8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872],
    float,
)

#: (15) Kowalik and Osborne: observations and where they were made.
KOWALIK_OSBORNE = (
    np.array([1957, 1947, 1735, 1600, 844, 627, 456, 342, 323, 235, 246]) / 10_000,
    np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]),
)

#: (17) Osborne's first: two exponentials.
OSBORNE_ONE = (
    np.array(
        [844, 908, 932, 936, 925, 908, 881, 850, 818, 784, 751]
        + [718, 685, 658, 628, 603, 580, 558, 538, 522, 506, 490]
        + [478, 467, 457, 448, 438, 431, 424, 420, 414, 411, 406]
    )
    / 1000
)

#: (19) Osborne's second: an exponential and three peaks.
OSBORNE_TWO = (
    np.array(
        [1366, 1191, 1112, 1013, 991, 885, 831, 847, 786, 725, 746, 679, 608]
        + [655, 616, 606, 602, 626, 651, 724, 649, 649, 694, 644, 624, 661]
        + [612, 558, 533, 495, 500, 423, 395, 375, 372, 391, 396, 405, 428]
        + [429, 523, 562, 607, 653, 672, 708, 633, 668, 645, 632, 591, 559]
        + [597, 625, 739, 710, 729, 720, 636, 581, 428, 292, 162, 98, 54]
    )
    / 1000
)
