import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter

/// The windows of a text, as it is read.
struct WindowSource {
    private let text: TextTokens
    private var windows: TextWindows
    private var last: ArraySlice<TextWindows.Window> = []
    private var isAtEnd = false

    /// What the vocabulary lacks of what was read.
    var unknown: UnknownCharacters { text.unknown }

    init(_ text: TextTokens, _ windows: TextWindows) { (self.text, self.windows) = (text, windows) }

    mutating func next(waiting milliseconds: Int32) throws(LeafError) -> Arrival<TextWindows.Window> {
        while true {
            if let window = last.popFirst() ?? windows.nextFull() { return .value(window) }
            if isAtEnd { return .end }
            switch try text.next(waiting: milliseconds) {
            case .later: return .later
            case .value(let ids): windows.add(ids)
            case .end:
                isAtEnd = true
                last = try windows.finish()[...]
            }
        }
    }

    /// The next window of a file; nil after the last one.
    mutating func next(_ terminal: Terminal) throws(LeafError) -> TextWindows.Window? {
        try terminal.interrupt.check()
        if case .value(let window) = try next(waiting: -1) { return window }
        return nil
    }
}
