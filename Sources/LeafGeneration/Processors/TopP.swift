/// Keeps the most likely tokens. A token is dropped if the tokens before it together exceed `mass`, so the first always
/// stays. Of equal ones the smaller id comes first.
///
/// Holtzman and others, "The curious case of neural text degeneration" (2020); 0.9 is usual. Source: CPM-Ant
/// reference, section 5.3.
package struct TopP: LogitsProcessor {
    private let mass: Double

    package init(_ mass: Float) {
        self.mass = Double(mass)
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        workspace.computeProbabilities()
        guard let last = lastKept(&workspace) else { return }
        let probabilities = workspace.probabilities
        workspace.keep { id in
            probabilities[id] > last.probability || (probabilities[id] == last.probability && id <= last.id)
        }
    }

    /// Takes ids from a heap until their probabilities exceed the mass, so only the ids that stay are sorted.
    private func lastKept(_ workspace: inout SamplingWorkspace) -> (id: Int, probability: Float)? {
        let probabilities = workspace.probabilities
        var heap = ProbabilityHeap(storage: workspace.order)
        workspace.order = []
        defer { workspace.order = heap.storage }
        heap.fill(from: probabilities)
        var sum = 0.0
        var last: (id: Int, probability: Float)?
        while sum <= mass, let id = heap.popMostLikely(probabilities) {
            last = (id, probabilities[id])
            sum += Double(probabilities[id])
        }
        return last
    }
}

/// A heap of ids: most likely first, and of equal ones the smaller id first.
private struct ProbabilityHeap {
    private(set) var storage: [Int32]

    init(storage: consuming [Int32]) {
        self.storage = storage
    }

    /// Fills the heap with every id that is possible.
    mutating func fill(from probabilities: FloatRow) {
        storage.removeAll(keepingCapacity: true)
        for id in 0..<probabilities.count where probabilities[id] > 0 { storage.append(Int32(id)) }
        for node in (0..<storage.count / 2).reversed() { siftDown(node, probabilities) }
    }

    mutating func popMostLikely(_ probabilities: FloatRow) -> Int? {
        guard let top = storage.first, let last = storage.popLast() else { return nil }
        if !storage.isEmpty {
            storage[0] = last
            siftDown(0, probabilities)
        }
        return Int(top)
    }

    private mutating func siftDown(_ start: Int, _ probabilities: FloatRow) {
        var node = start
        let moved = storage[node]
        while true {
            var child = 2 * node + 1
            guard child < storage.count else { break }
            if child + 1 < storage.count, precedes(storage[child + 1], storage[child], probabilities) { child += 1 }
            guard precedes(storage[child], moved, probabilities) else { break }
            storage[node] = storage[child]
            node = child
        }
        storage[node] = moved
    }

    private func precedes(_ a: Int32, _ b: Int32, _ probabilities: FloatRow) -> Bool {
        let (first, second) = (probabilities[Int(a)], probabilities[Int(b)])
        return first > second || (first == second && a < b)
    }
}
