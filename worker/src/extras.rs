//! What filters need besides the source: logos and colour tables, fetched whole before the run, since they are small.

use bytes::Bytes;
use reelmill_api::{ErrorKind, Failure, Location, preset::Filter};
use reelmill_storage::Storage;

use crate::cube;

/// The largest logo or table, bytes.
const LARGEST: usize = 16 << 20;
/// How a PNG begins (RFC 2083, 3.1).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The pictures that `filters` need, in their order, as a media program takes them.
///
/// # Errors
/// `bad_request` if one is not what it should be; what the store says if it cannot be read.
pub async fn fetch(storage: &Storage, filters: &[Filter]) -> Result<Vec<Bytes>, Failure> {
    let mut pictures = Vec::new();
    for filter in filters {
        match filter {
            Filter::Logo(logo) => pictures.push(logo_picture(&logo.image, get(storage, &logo.image).await?)?),
            Filter::Lut(lut) => pictures.push(table_picture(&lut.table, &get(storage, &lut.table).await?)?),
            Filter::Crop(_) | Filter::Pad(_) | Filter::Denoise(_) | Filter::Sharpen(_) => {}
        }
    }
    Ok(pictures)
}

async fn get(storage: &Storage, at: &Location) -> Result<Bytes, Failure> {
    Ok(storage.get_small(at, LARGEST).await?.0)
}

fn logo_picture(at: &Location, picture: Bytes) -> Result<Bytes, Failure> {
    if picture.starts_with(PNG) {
        return Ok(picture);
    }
    Err(Failure::new(ErrorKind::BadRequest, format!("the logo {at} is no PNG")).hint("convert it to PNG first"))
}

fn table_picture(at: &Location, text: &[u8]) -> Result<Bytes, Failure> {
    let message =
        |why: &str| Failure::new(ErrorKind::BadRequest, format!("the colour table {at} cannot be used: {why}"));
    let text = std::str::from_utf8(text).map_err(|_| message("it is no text").hint("export it as a .cube file"))?;
    cube::hald_picture(text).map_err(|why| message(&why).hint("export it as a 3D .cube file"))
}
