"""The risk-coverage curve of an evaluation, as its page draws it."""

from itertools import groupby

from models_app.results import Evaluation

SIDE = 200  # of the picture, in its units
STEPS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)  # of which the lowest accuracy in the picture is a multiple


def coverage_curve(evaluation: Evaluation) -> dict | None:
    """The points of the curve with their places in a square of SIDE, one for each share of answers; `line`, the points
    of a polyline; `lowest` and `middle`, the accuracies at its bottom and in its middle; `all`, the point
    without a threshold, and `chosen`, that of the default one. None for evaluations of earlier versions."""
    points = [point for point in evaluation.risk_coverage if point["accuracy"] is not None]
    if not points:
        return None
    least = min(point["accuracy"] for point in points)
    lowest = next((1 - step for step in STEPS[::-1] if 1 - step <= least), 0.0)
    placed = [
        point
        | {
            "x": round(SIDE * point["answered"], 1),
            "y": round(SIDE * (1 - point["accuracy"]) / (1 - lowest), 1),
            "is_chosen": point["threshold"] == evaluation.unsure_below,
        }
        for point in points
    ]
    # Of thresholds that leave the same answers, the table has the chosen one, else the highest.
    rows = [
        max(same, key=lambda point: (point["is_chosen"], point["threshold"]))
        for same in (list(group) for _, group in groupby(placed, key=lambda point: point["answered"]))
    ]
    return {
        "points": rows,
        "line": " ".join(f"{point['x']},{point['y']}" for point in placed),
        "lowest": f"{100 * lowest:g} %",
        "middle": f"{50 + 50 * lowest:g} %",
        "all": placed[0],
        "chosen": next((point for point in placed if point["is_chosen"]), None),
        "side": SIDE,
    }
