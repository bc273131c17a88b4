"""Reprojection errors by the cameras: rotation vector, translation, focal length, distortion.

Source: the camera model of Agarwal et al., *Bundle Adjustment in the Large* (ECCV 2010). Every
camera sees twenty points; the Hessian is one 9 by 9 block for each camera.
"""

NAME = "bundle adjustment"
SIZES = (10, 100, 300)
HESSIAN_SIZES = (10, 100)
NEWTON = False  # not convex
POINTS = 20


def make(size, rng):
    cameras = 0.1 * rng.normal(size=(size, 9))
    cameras[:, 5] += 5.0
    cameras[:, 6] += 1.0
    points = rng.normal(size=(POINTS, 3))
    return cameras, points, 0.1 * rng.normal(size=(size, POINTS, 2))


def loss(np, cameras, points, seen):
    axis = cameras[:, 0:3]
    angle = np.sqrt(np.sum(axis**2, axis=1))[:, None]
    unit = axis / angle
    # Rodrigues: x cos(a) + (u x x) sin(a) + u (u . x) (1 - cos(a)).
    along = (unit @ points.T)[:, :, None] * unit[:, None, :]
    across = np.stack(
        [
            unit[:, 1:2] * points[:, 2] - unit[:, 2:3] * points[:, 1],
            unit[:, 2:3] * points[:, 0] - unit[:, 0:1] * points[:, 2],
            unit[:, 0:1] * points[:, 1] - unit[:, 1:2] * points[:, 0],
        ],
        2,
    )
    cosine, sine = np.cos(angle)[:, :, None], np.sin(angle)[:, :, None]
    placed = points * cosine + across * sine + along * (1 - cosine) + cameras[:, None, 3:6]
    flat = placed[:, :, 0:2] / placed[:, :, 2:3]
    radius = np.sum(flat**2, axis=2)
    lens = cameras[:, 6:7] * (1 + cameras[:, 7:8] * radius + cameras[:, 8:9] * radius**2)
    return 0.5 * np.sum((lens[:, :, None] * flat - seen) ** 2)
