import LeafSystem
import Leafcutter

/// Formats numbers with words.
enum Quantity {
    /// `12.7 million`, `10.1 billion`.
    static func parameters(_ count: Int) -> String {
        switch count {
        case ..<1_000_000: "\(count)"
        case ..<1_000_000_000: (Double(count) / 1e6).fixed(1) + " million"
        default: (Double(count) / 1e9).fixed(2) + " billion"
        }
    }

    /// `1 token`, `3 tokens`.
    static func count(_ number: Int, _ noun: String) -> String { number.of(noun) }

    /// Columns: names in the first, aligned. Names and values may come from files.
    static func table(_ rows: [(String, String)]) -> String {
        let rows = rows.map { ($0.printable, $1.printable) }
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { $0 + String(repeating: " ", count: width - $0.count + 2) + $1 + "\n" }.joined()
    }
}
