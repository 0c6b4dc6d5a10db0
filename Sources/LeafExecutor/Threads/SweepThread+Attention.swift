import CLeafKernels
import LeafStream

extension SweepThread {
    /// How one block's heads attend.
    package struct Attention {
        /// Which of `ModelFacts.attentions`.
        package let index: Int
        /// The number that scores are multiplied by.
        package let scoreScale: Float
        /// Nil for a model without a position bias.
        package let bias: BiasTable?

        package init(index: Int, scoreScale: Float, bias: BiasTable? = nil) {
            self.index = index
            self.scoreScale = scoreScale
            self.bias = bias
        }
    }

    /// The bias of positions: `[columns, rows]`, one run a column.
    package struct BiasTable {
        package let start: UnsafePointer<Float>
        package let rows: Int
        /// The column of each query head; nil where head and column have the same number.
        package let columns: [Int]?

        package init(start: UnsafePointer<Float>, rows: Int, columns: [Int]? = nil) {
            self.start = start
            self.rows = rows
            self.columns = columns
        }

        func column(ofHead head: Int) -> UnsafePointer<Float> { start + (columns?[head] ?? head) * rows }
    }

    /// Key heads that this thread stores and attends with, of one of `ModelFacts.attentions`.
    package func keyHeads(of attention: Int) -> Range<Int> { share(of: executor.facts.attentions[attention].keyHeads) }

    /// Puts the rows' keys and values into the cache and lets every query attend: `attended = softmax(q k * scale +
    /// bias) v`.
    ///
    /// Threads need not meet in between: each attends with the key heads that it stored itself. `buffers.attended` lies
    /// where the queries are, which are read before it is written.
    package func attend(_ attention: Attention) {
        let heads = executor.facts.attentions[attention.index]
        let group = heads.queryHeads / heads.keyHeads
        let cache = executor.cache
        for rows in executor.step.groups {
            let begin = TraceRecorder.now(executor.trace)
            defer { executor.trace?.record(.attention, on: .compute(number), since: begin, attention.index) }
            cache.withPages(of: rows.sequence) { pages in
                for keyHead in keyHeads(of: attention.index) {
                    let offset = cache.offset(attention: attention.index, head: keyHead)
                    store(rows.rows, pages, keyHead: keyHead, offset: offset, dimHead: heads.dimHead)
                    var view = leaf_cache_view(
                        type: cache.precision.kernelType, dim_head: heads.dimHead, keys: rows.keyCount,
                        pages: pages.baseAddress, base: UnsafeRawPointer(cache.page(0, offset: offset)),
                        page_stride: cache.pageStride)
                    for queryHead in keyHead * group..<(keyHead + 1) * group {
                        attend(rows, &view, queryHead: queryHead, attention, dimHead: heads.dimHead)
                    }
                }
            }
        }
    }

    private func store(
        _ rows: Range<Int>, _ pages: UnsafeBufferPointer<UInt32>, keyHead: Int, offset: Int, dimHead: Int
    ) {
        let keys = buffers.keys.columns(from: keyHead * dimHead)
        let values = buffers.values.columns(from: keyHead * dimHead)
        for row in rows {
            let place = executor.step.places[row]
            executor.product.kernels.floats.cache_store(
                executor.cache.precision.kernelType, dimHead, keys[row], values[row],
                executor.cache.page(pages[place / 16], offset: offset), place % 16)
        }
    }

    private func attend(
        _ rows: Executor.Step.Group, _ view: inout leaf_cache_view, queryHead: Int, _ attention: Attention,
        dimHead: Int
    ) {
        let queries = buffers.queries.columns(from: queryHead * dimHead)
        let attended = buffers.attended.columns(from: queryHead * dimHead)
        let bias = attention.bias?.column(ofHead: queryHead) ?? buffers.zeros
        for local in stride(from: 0, to: rows.rows.count, by: Scratch.attentionRows) {
            let row = rows.rows.lowerBound + local
            executor.product.kernels.floats.attention(
                &view, queries[row], queries.stride, min(Scratch.attentionRows, rows.rows.count - local),
                buffers.biasRows + rows.biasOffset + local * rows.biasStride, rows.biasStride, bias,
                attention.scoreScale, attended[row], attended.stride, buffers.scores(thread: number))
        }
    }
}
