-- Macros. Those over two columns are aggregates: SELECT rmse(target, output[1]) FROM predictions WHERE key = '...' GROUP BY epoch.
-- Those over a curve take a list in epoch order: list(value ORDER BY epoch).

CREATE MACRO rmse(t, p) AS sqrt(avg((t - p) * (t - p)));
COMMENT ON MACRO rmse IS 'Aggregate: root of the mean squared difference of two columns.';

CREATE MACRO mae(t, p) AS avg(abs(t - p));
COMMENT ON MACRO mae IS 'Aggregate: mean absolute difference of two columns.';

CREATE MACRO pearson(t, p) AS corr(t, p);
COMMENT ON MACRO pearson IS 'Aggregate: Pearson correlation of two columns.';

-- The mean of the ranks with ties in order and with ties in reverse order is the tied rank.
CREATE MACRO ranks(v) AS list_transform(list_zip(
  list_grade_up(list_grade_up(list_transform(v, lambda x, i: {'x': x, 'i': i}))),
  list_grade_up(list_grade_up(list_transform(v, lambda x, i: {'x': x, 'i': -i})))), lambda r: (r[1] + r[2]) / 2.0);
COMMENT ON MACRO ranks IS 'Ranks of a list from 1, equal values sharing the mean of theirs.';

CREATE MACRO list_pearson(a, b) AS
  list_dot_product(list_transform(a, lambda x: x - list_avg(a)), list_transform(b, lambda y: y - list_avg(b)))
  / sqrt(list_dot_product(list_transform(a, lambda x: x - list_avg(a)), list_transform(a, lambda x: x - list_avg(a)))
       * list_dot_product(list_transform(b, lambda y: y - list_avg(b)), list_transform(b, lambda y: y - list_avg(b))));
COMMENT ON MACRO list_pearson IS 'Pearson correlation of two lists of equal length.';

CREATE MACRO spearman(t, p) AS list_pearson(
  ranks(list(t) FILTER (t IS NOT NULL AND p IS NOT NULL)), ranks(list(p) FILTER (t IS NOT NULL AND p IS NOT NULL)));
COMMENT ON MACRO spearman IS 'Aggregate: Spearman rank correlation of two columns, ties sharing their mean rank.';

CREATE MACRO predicted_class(output) AS list_position(output, list_max(output)) - 1;
COMMENT ON MACRO predicted_class IS 'Class with the highest output, from 0; the first of equals.';

CREATE MACRO accuracy(target, output) AS avg((predicted_class(output) = target)::DOUBLE);
COMMENT ON MACRO accuracy IS 'Aggregate: share of rows whose highest output is that of the target class.';

CREATE MACRO smooth_ema(curve, past) AS
  list_reduce(list_transform(curve, lambda x: [x::DOUBLE]),
              lambda done, x: list_append(done, past * done[len(done)] + (1 - past) * x[1]));
COMMENT ON MACRO smooth_ema IS 'A curve as exponential moving average: past is the weight of the past, 0 to 1; it begins with the first value.';

-- [curve] and [1] around a lambda give an expression a name: without it a curve that is itself computed is computed again
-- for each of its points.
CREATE MACRO smooth_mean(curve, width) AS list_transform([curve], lambda y:
  list_transform(range(1, len(y) + 1), lambda i: list_avg(y[greatest(1, i - width // 2):i + width // 2])))[1];
COMMENT ON MACRO smooth_mean IS 'A curve as centred moving mean over width points (an even one is raised by one), fewer at the ends.';

-- Savitzky-Golay of order 2: the parabola fitted by least squares to the 2h + 1 points around c, read at offset j from c.
-- At the ends c is the nearest point with a whole window, as in SciPy's mode "interp".
CREATE MACRO savgol_weight(h, i, j) AS
  1.0 / (2 * h + 1) + 3.0 * i * j / (h * (h + 1) * (2 * h + 1))
  + 45.0 * (i * i - h * (h + 1) / 3.0) * (j * j - h * (h + 1) / 3.0) / (h * (h + 1) * (2 * h + 1) * (4.0 * h * h + 4 * h - 3));
COMMENT ON MACRO savgol_weight IS 'Weight of the point at offset i in the parabola over 2h + 1 points, read at offset j.';

CREATE MACRO savgol_at(y, h, kernel, t, c) AS CASE WHEN t = c THEN list_dot_product(y[c - h:c + h], kernel)
  ELSE list_dot_product(y[c - h:c + h], list_transform(range(-h, h + 1), lambda i: savgol_weight(h, i, t - c))) END;
COMMENT ON MACRO savgol_at IS 'Value at point t of the parabola fitted around point c; kernel holds the weights for t = c.';

CREATE MACRO savgol_half(curve, width) AS least(width // 2, (len(curve) - 1) // 2);
COMMENT ON MACRO savgol_half IS 'Half width of a Savitzky-Golay window, cut to the length of the curve.';

CREATE MACRO smooth_savgol(curve, width) AS list_transform([{
    'y': curve::DOUBLE[], 'h': savgol_half(curve, width),
    'kernel': list_transform(range(-savgol_half(curve, width), savgol_half(curve, width) + 1),
                             lambda i: savgol_weight(savgol_half(curve, width), i, 0))}],
  lambda s: CASE WHEN s.h < 1 THEN s.y ELSE list_transform(range(1, len(s.y) + 1),
    lambda t: savgol_at(s.y, s.h, s.kernel, t, greatest(s.h + 1, least(t, len(s.y) - s.h)))) END)[1];
COMMENT ON MACRO smooth_savgol IS 'A curve as Savitzky-Golay of order 2 over width points: an even one is raised by one, and cut to the curve.';

CREATE MACRO smooth(curve, width) AS smooth_savgol(curve, width);
COMMENT ON MACRO smooth IS 'The usual smoothing of measures: smooth_savgol.';

CREATE MACRO window_means(curve, width) AS list_transform([curve], lambda y:
  list_transform(range(1, len(y) - least(width, len(y)) + 2), lambda i: list_avg(y[i:i + least(width, len(y)) - 1])))[1];
COMMENT ON MACRO window_means IS 'Means of all whole windows of width consecutive points; the width is cut to the curve.';

CREATE MACRO stable_min(curve, width) AS list_min(window_means(curve, width));
COMMENT ON MACRO stable_min IS 'Lowest mean of width consecutive points: stable_min(smooth(list(value ORDER BY epoch), 15), 10). Does not smooth by itself.';

CREATE MACRO stable_max(curve, width) AS list_max(window_means(curve, width));
COMMENT ON MACRO stable_max IS 'Highest mean of width consecutive points. Does not smooth by itself.';

CREATE MACRO classification_of(stage_key, split_name) AS TABLE
WITH p AS (SELECT epoch, target::INTEGER AS t, predicted_class(output) AS p FROM predictions WHERE key = stage_key AND split = split_name),
one AS (SELECT epoch, class, sum(tp) AS tp, sum(said) AS said, sum(meant) AS meant FROM (
  SELECT epoch, t AS class, (t = p)::INTEGER AS tp, 0 AS said, 1 AS meant FROM p
  UNION ALL SELECT epoch, p, 0, 1, 0 FROM p) GROUP BY epoch, class)
SELECT epoch, sum(meant)::INTEGER AS n, sum(tp) / sum(meant) AS accuracy, avg(CASE WHEN said = 0 THEN 0 ELSE tp / said END) AS precision,
       avg(CASE WHEN meant = 0 THEN 0 ELSE tp / meant END) AS recall, avg(2 * tp / (said + meant)) AS f1
FROM one GROUP BY epoch ORDER BY epoch;
COMMENT ON MACRO TABLE classification_of IS 'Accuracy and macro-averaged precision, recall and F1 by epoch, of one stage on one split; classes that occur as target or prediction.';

CREATE MACRO regression_of(stage_key, split_name) AS TABLE
SELECT epoch, count(*)::INTEGER AS n, rmse(target, output[1]) AS rmse, mae(target, output[1]) AS mae, pearson(target, output[1]) AS pearson,
       spearman(target, output[1]) AS spearman
FROM predictions WHERE key = stage_key AND split = split_name GROUP BY epoch ORDER BY epoch;
COMMENT ON MACRO TABLE regression_of IS 'Errors and correlations of the first output by epoch, of one stage on one split.';

CREATE MACRO predictions_of(stage_key) AS TABLE
SELECT parse_path(filename)[-2] AS split, epoch + 1 AS epoch, row, output
FROM read_parquet('runs/' || stage_key || '/predictions/*/epochs-*.parquet', filename := true);
COMMENT ON MACRO TABLE predictions_of IS 'Predictions of one stage, straight from its files: the quickest way, and the only one while it trains. An error when there are none.';
