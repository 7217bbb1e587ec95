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

CREATE MACRO smooth_mean(curve, width) AS
  list_transform(range(1, len(curve) + 1), lambda i: list_avg(curve[greatest(1, i - width // 2):i + width // 2]));
COMMENT ON MACRO smooth_mean IS 'A curve as centred moving mean over width points (an even one is raised by one), fewer at the ends.';

CREATE MACRO window_means(curve, width) AS
  list_transform(range(1, len(curve) - least(width, len(curve)) + 2), lambda i: list_avg(curve[i:i + least(width, len(curve)) - 1]));
COMMENT ON MACRO window_means IS 'Means of all whole windows of width consecutive points; the width is cut to the curve.';

CREATE MACRO stable_min(curve, width) AS list_min(window_means(curve, width));
COMMENT ON MACRO stable_min IS 'Lowest mean of width consecutive points: stable_min(smooth_ema(list(value ORDER BY epoch), 0.6), 10). Does not smooth by itself.';

CREATE MACRO stable_max(curve, width) AS list_max(window_means(curve, width));
COMMENT ON MACRO stable_max IS 'Highest mean of width consecutive points. Does not smooth by itself.';
