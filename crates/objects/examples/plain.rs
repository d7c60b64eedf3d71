//! What the library alone reaches on a store, for `bench/stores` to hold the registry against: one
//! upload in parts, and one read of the same object. Prints the seconds of each.
//!
//! `plain ENDPOINT BUCKET MEBIBYTES PART_MEBIBYTES`, with the keys in `AWS_ACCESS_KEY_ID` and
//! `AWS_SECRET_ACCESS_KEY`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]

use std::time::Instant;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, WriteMultipart};

/// Parts on their way at a time: as many as an upload of the registry has.
const PARTS_AT_ONCE: usize = 1;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, bucket, size, part] = &arguments[..] else {
        println!("plain ENDPOINT BUCKET MEBIBYTES PART_MEBIBYTES");
        return;
    };
    let (size_bytes, part_bytes) =
        (size.parse::<usize>().unwrap() << 20, part.parse::<usize>().unwrap() << 20);
    let store = AmazonS3Builder::from_env()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name(bucket)
        .with_virtual_hosted_style_request(false)
        .build()
        .unwrap();
    let path = Path::from("plain");
    let piece: Bytes = (0..256 * 1024).map(|at: usize| (at % 251) as u8).collect();

    let started = Instant::now();
    let upload = store.put_multipart(&path).await.unwrap();
    let mut writer = WriteMultipart::new_with_chunk_size(upload, part_bytes);
    for _ in 0..size_bytes / piece.len() {
        writer.wait_for_capacity(PARTS_AT_ONCE).await.unwrap();
        writer.put(piece.clone());
    }
    writer.finish().await.unwrap();
    println!("upload {:.3}", started.elapsed().as_secs_f64());

    let started = Instant::now();
    let mut stream = store.get(&path).await.unwrap().into_stream();
    let mut read_bytes = 0;
    while let Some(piece) = stream.try_next().await.unwrap() {
        read_bytes += piece.len();
    }
    assert_eq!(read_bytes, size_bytes);
    println!("read {:.3}", started.elapsed().as_secs_f64());
    store.delete(&path).await.unwrap();
}
