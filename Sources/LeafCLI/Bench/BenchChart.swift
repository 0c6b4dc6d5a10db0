import Glibc
import LeafSystem
import Leafcutter

/// Draws tokens a second by memory as SVG: both axes are logarithmic, each series is a line, predictions are dashed. It
/// has no scripts and no fonts of its own; colours follow the reader's light or dark background.
struct BenchChart {
    private static let width = 720.0
    private static let height = 440.0
    private static let left = 76.0
    private static let right = 40.0
    private static let top = 56.0
    private static let bottom = 64.0
    /// Colours that people with red-green blindness can distinguish, on white and on black.
    private static let colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]

    private let series: [(name: String, runs: [BenchRun])]
    private let memory: Axis
    private let speed: Axis

    /// - Parameter runs: at least one run; all of them sound.
    init(_ runs: [BenchRun]) {
        var series: [(name: String, runs: [BenchRun])] = []
        for run in runs {
            let name = run.name ?? "leafcutter"
            if let index = series.firstIndex(where: { $0.name == name }) {
                series[index].runs.append(run)
            } else {
                series.append((name, [run]))
            }
        }
        self.series = series.map { ($0.name, $0.runs.sorted { $0.budget < $1.budget }) }
        memory = Axis(
            of: runs.map { Double($0.budget) }, factors: [1], base: 2, from: Self.left, to: Self.width - Self.right)
        speed = Axis(
            of: runs.map(\.tokensPerSecond) + runs.compactMap(Self.predictedSpeed), factors: [1, 2, 5], base: 10,
            from: Self.height - Self.bottom, to: Self.top)
    }

    private static func predictedSpeed(_ run: BenchRun) -> Double? {
        run.predictedSecondsPerToken.map { Double(run.batch ?? 1) / $0 }
    }

    /// A logarithmic axis, whose ends are ticks.
    private struct Axis {
        let ticks: [Double]
        private let low: Double
        private let high: Double
        private let from: Double
        private let to: Double

        /// - Parameters:
        ///   - factors: there is a tick at each of them times a power of `base`.
        init(of values: [Double], factors: [Double], base: Double, from: Double, to: Double) {
            let least = values.min() ?? 1
            let most = values.max() ?? 1
            let exponents =
                Int((log(least) / log(base)).rounded(.down)) - 1...Int((log(most) / log(base)).rounded(.up)) + 1
            let candidates = exponents.flatMap { exponent in factors.map { $0 * pow(base, Double(exponent)) } }
            let first = candidates.last { $0 <= least * 1.0001 } ?? least
            let last = candidates.first { $0 >= most * 0.9999 && $0 > first } ?? most
            ticks = candidates.filter { (first...last).contains($0) }
            low = log(first)
            high = log(last)
            self.from = from
            self.to = to
        }

        func coordinate(_ value: Double) -> Double { from + (log(value) - low) / (high - low) * (to - from) }
    }

    var svg: String {
        var lines = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 440" width="720" height="440" role="img" \
            aria-label="Tokens a second by memory" font-family="system-ui, sans-serif" font-size="13">
            <style>
            text { fill: #24292f } .axis, .grid { stroke: #57606a } .grid { stroke-opacity: .25 } .back { fill: #ffffff }
            @media (prefers-color-scheme: dark) {
            text { fill: #e6edf3 } .axis, .grid { stroke: #8d96a0 } .back { fill: #0d1117 } }
            </style>
            <rect class="back" width="720" height="440" rx="6"/>
            """
        ]
        lines += axes
        for (number, series) in series.enumerated() {
            lines += draw(series.runs, colour: Self.colours[number % Self.colours.count])
        }
        lines += legend
        return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private var axes: [String] {
        let floor = Self.height - Self.bottom
        var lines: [String] = []
        for tick in memory.ticks {
            let x = number(memory.coordinate(tick))
            lines.append(
                #"<line class="grid" x1="\#(x)" x2="\#(x)" y1="\#(number(Self.top))" y2="\#(number(floor))"/>"#)
            lines.append(
                #"<text x="\#(x)" y="\#(number(floor + 20))" text-anchor="middle">\#(Self.size(tick))</text>"#)
        }
        for tick in speed.ticks {
            let y = number(speed.coordinate(tick))
            lines.append(
                #"<line class="grid" x1="\#(number(Self.left))" x2="\#(number(Self.width - Self.right))" y1="\#(y)" y2="\#(y)"/>"#
            )
            lines.append(
                #"<text x="\#(number(Self.left - 8))" y="\#(number(speed.coordinate(tick) + 4))" text-anchor="end">\#(Self.plain(tick))</text>"#
            )
        }
        let middle = number((Self.top + floor) / 2)
        lines.append(
            #"<path class="axis" fill="none" d="M\#(number(Self.left)) \#(number(Self.top))V\#(number(floor))H\#(number(Self.width - Self.right))"/>"#
        )
        lines.append(
            #"<text x="\#(number((Self.left + Self.width - Self.right) / 2))" y="\#(number(Self.height - 16))" text-anchor="middle">memory that the process may use</text>"#
        )
        lines.append(
            #"<text x="20" y="\#(middle)" text-anchor="middle" transform="rotate(-90 20 \#(middle))">tokens a second</text>"#
        )
        return lines
    }

    private func draw(_ runs: [BenchRun], colour: String) -> [String] {
        func path(_ speeds: [(BenchRun, Double)]) -> String {
            "M"
                + speeds.map { "\(number(memory.coordinate(Double($0.budget)))) \(number(speed.coordinate($1)))" }
                .joined(separator: "L")
        }
        var lines: [String] = []
        let predicted = runs.compactMap { run in Self.predictedSpeed(run).map { (run, $0) } }
        if predicted.count > 1 {
            lines.append(
                #"<path d="\#(path(predicted))" fill="none" stroke="\#(colour)" stroke-dasharray="3 4" stroke-opacity=".7"/>"#
            )
        }
        lines.append(
            #"<path d="\#(path(runs.map { ($0, $0.tokensPerSecond) }))" fill="none" stroke="\#(colour)" stroke-width="2"/>"#
        )
        for run in runs {
            let x = memory.coordinate(Double(run.budget))
            let y = speed.coordinate(run.tokensPerSecond)
            let title = "\(ByteCount(bytes: run.budget)): \(run.tokensPerSecond.significant) tokens a second"
            lines.append(
                #"<circle cx="\#(number(x))" cy="\#(number(y))" r="4" fill="\#(colour)"><title>\#(title)</title></circle>"#
            )
            if series.count == 1 {
                lines.append(
                    #"<text x="\#(number(x))" y="\#(number(y + 20))" text-anchor="middle" font-size="11">\#(run.tokensPerSecond.significant)</text>"#
                )
            }
        }
        return lines
    }

    private var legend: [String] {
        var lines: [String] = []
        var x = Self.left
        var entries = series.enumerated().map {
            (name: $1.name, colour: Self.colours[$0 % Self.colours.count], dash: "")
        }
        if let colour = entries.first?.colour,
            series.contains(where: { $0.runs.count { Self.predictedSpeed($0) != nil } > 1 })
        {
            entries.append(("predicted by plan", colour, #" stroke-dasharray="3 4""#))
        }
        var y = 18.0
        for entry in entries {
            // Letters of this size are about 7 wide, Chinese characters twice that.
            let width = 54 + entry.name.unicodeScalars.reduce(0.0) { $0 + ($1.value > 0x2E7F ? 14 : 7) }
            if x > Self.left, x + width > Self.width {
                (x, y) = (Self.left, y + 20)
            }
            lines.append(
                #"<line x1="\#(number(x))" x2="\#(number(x + 24))" y1="\#(number(y))" y2="\#(number(y))" stroke="\#(entry.colour)" stroke-width="2"\#(entry.dash)/>"#
            )
            lines.append(#"<text x="\#(number(x + 30))" y="\#(number(y + 4))">\#(Self.escaped(entry.name))</text>"#)
            x += width
        }
        return lines
    }

    private static func size(_ bytes: Double) -> String {
        bytes >= 0x1p30 ? plain(bytes / 0x1p30) + " GiB" : plain(bytes / 0x1p20) + " MiB"
    }

    /// The number without trailing zeros.
    private static func plain(_ value: Double) -> String {
        let text = value.fixed(6)
        let cut = text.reversed().drop { $0 == "0" }.drop { $0 == "." }
        return String(cut.reversed())
    }

    private func number(_ value: Double) -> String { Self.plain((value * 10).rounded() / 10) }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
    }
}
