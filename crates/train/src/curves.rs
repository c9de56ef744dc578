//! Loss and score over the epochs of a run, as a picture.

use plotters::prelude::{
    BLUE, ChartBuilder, Circle, DrawingArea, IntoDrawingArea, LineSeries, RED, RGBColor,
    SVGBackend, WHITE,
};
use plotters::{coord::Shift, drawing::DrawingAreaErrorKind, style::Color};

use super::{EpochReport, EpochScore};

type Drawn<'a> = Result<
    (),
    DrawingAreaErrorKind<<SVGBackend<'a> as plotters::prelude::DrawingBackend>::ErrorType>,
>;

/// An SVG picture: mean loss of the training steps above, score of the validation data below where there is one, each
/// over the number of the epoch.
pub fn draw_curves<S: EpochScore>(epochs: &[EpochReport<S>], score: &str) -> String {
    let losses = epochs.iter().map(|it| (it.epoch, it.loss)).collect();
    let scores: Vec<(usize, f64)> = epochs
        .iter()
        .filter_map(|it| Some((it.epoch, it.validation.as_ref()?.score())))
        .collect();
    let mut panels = vec![("training loss", losses, RED)];
    if !scores.is_empty() {
        panels.push((score, scores, BLUE));
    }
    let mut text = String::new();
    let size = (720, 300 * u32::try_from(panels.len()).unwrap_or(1));
    let drawn = {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let areas = root.split_evenly((panels.len(), 1));
        root.fill(&WHITE).and_then(|()| {
            for (area, (title, points, colour)) in areas.iter().zip(&panels) {
                panel(area, title, points, *colour)?;
            }
            root.present()
        })
    };
    // Writing to a string cannot fail.
    drawn.map_or_else(|_| String::new(), |()| text)
}

fn panel<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    title: &str,
    points: &[(usize, f64)],
    colour: RGBColor,
) -> Drawn<'a> {
    let last = points.last().map_or(1, |(epoch, _)| *epoch).max(2);
    let highest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, ("sans-serif", 18))
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(1..last, 0.0..top)?;
    chart.configure_mesh().x_desc("epoch").draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
    let dots = points
        .iter()
        .map(|point| Circle::new(*point, 3, colour.filled()));
    chart.draw_series(dots)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ViolenceScore;

    fn epoch(epoch: usize, loss: f64, macro_f1: Option<f64>) -> EpochReport<ViolenceScore> {
        EpochReport {
            epoch,
            loss,
            learning_rate: 0.1,
            validation: macro_f1.map(|macro_f1| ViolenceScore {
                macro_f1,
                violent_f1: macro_f1,
                calm_f1: macro_f1,
            }),
        }
    }

    #[test]
    fn curves_have_a_point_an_epoch() {
        let points = |svg: &str| svg.matches("<circle").count();
        let both = [epoch(1, 0.7, Some(0.4)), epoch(2, 0.5, Some(0.8))];
        let svg = draw_curves(&both, "macro-F1");
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        assert!(svg.contains("macro-F1"), "{svg}");
        assert_eq!(points(&svg), 4);
        assert_eq!(points(&draw_curves(&[epoch(1, 0.0, None)], "macro-F1")), 1);
        assert_eq!(points(&draw_curves::<ViolenceScore>(&[], "macro-F1")), 0);
    }
}
