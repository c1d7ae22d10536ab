//! The picture: processor time per request, a bar for each contender in every run.

use std::fmt::Write;

use crate::{BODIES, CONNECTIONS, DOORS, Row};

const COLOURS: [(&str, &str); 3] =
    [("nginx", "#7a8793"), ("nginx, no log", "#b9c2ca"), ("broker", "#c8551b")];

const BAR: f64 = 16.0;
const GROUP: f64 = BAR * 3.0 + 18.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 46.0;
const PANEL: f64 = GROUP * 6.0 + 60.0;

pub(crate) fn svg(rows: &[Row]) -> String {
    let width = LEFT + PANEL * 2.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        HEIGHT + 100.0
    );
    for (n, (name, colour)) in COLOURS.iter().enumerate() {
        let x = LEFT + 120.0 * n as f64;
        writeln!(
            svg,
            "<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"17\">{name}</text>",
            x + 15.0
        )
        .unwrap();
    }
    for (n, (body, _)) in BODIES.iter().enumerate() {
        panel(&mut svg, rows, body, LEFT + PANEL * n as f64);
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, rows: &[Row], body: &str, left: f64) {
    let top = 40.0;
    let of_body: Vec<&Row> =
        rows.iter().filter(|row| row.body == body && row.contender != "direct").collect();
    let most = of_body.iter().map(|row| row.measured.cpu_us).fold(1.0, f64::max) * 1.1;
    writeln!(svg, "<text x=\"{left}\" y=\"{}\">{body}: CPU µs per request</text>", top - 6.0)
        .unwrap();
    for (place, (door, connections)) in
        DOORS.iter().flat_map(|door| CONNECTIONS.map(|n| (door, n))).enumerate()
    {
        let x = left + GROUP * place as f64;
        for (n, (name, colour)) in COLOURS.iter().enumerate() {
            let found = of_body.iter().find(|row| {
                row.door == *door && row.connections == connections && row.contender == *name
            });
            let Some(row) = found else { continue };
            let cpu = row.measured.cpu_us;
            let (height, x) = (HEIGHT * cpu / most, x + BAR * n as f64);
            let y = top + HEIGHT - height;
            writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"8\" \
                 text-anchor=\"middle\">{cpu:.0}</text>",
                BAR - 2.0,
                x + BAR / 2.0 - 1.0,
                y - 2.0
            )
            .unwrap();
        }
        let door = format!("{door:?}").to_lowercase();
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\">{door}</text><text x=\"{x:.1}\" y=\"{:.1}\">{connections} conn.</text>",
            top + HEIGHT + 14.0,
            top + HEIGHT + 28.0
        )
        .unwrap();
    }
}
